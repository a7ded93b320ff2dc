/** Broker nodes that do one thing at a time, as late as a test likes, for one device of protocol version 4. */

export interface ClusterRules {
  /** Does a node take the session over from the one that has it? */
  readonly shares: boolean;
  /** When a message of QoS 2 is passed on: by the first packet (as EMQX does) or by the second (as mosquitto does). */
  readonly passesOnAt: 'PUBLISH' | 'PUBREL';
}

interface Outgoing {
  readonly id: number;
  readonly text: string;
  isReceived: boolean;
}

class NodeSession {
  /** QoS 2 messages of the device that are not released, by packet id. */
  readonly incoming = new Map<number, string>();
  outgoing: Outgoing[] = [];

  copy(): NodeSession {
    const copy = new NodeSession();
    for (const [id, text] of this.incoming) copy.incoming.set(id, text);
    copy.outgoing = this.outgoing.map((each) => ({ ...each }));
    return copy;
  }
}

/** One link of the device's session to a node. */
export class NodeLink {
  readonly node: string;
  /** Packets that the node has not read; `gone`: another node has the session, and the link is to be closed. */
  readonly inbox: string[] = [];
  /** What it has said that has not arrived. `fin` is its end. */
  readonly outbox: string[] = [];
  isOpen = false;
  isOver = false;
  session: NodeSession | undefined;

  constructor(node: string) {
    this.node = node;
  }
}

export class SlowCluster {
  /** Payloads, in the order in which they were passed on. */
  readonly passedOn: string[] = [];
  private readonly rules: ClusterRules;
  private holder: NodeLink | undefined;
  /** Of nodes that share nothing. */
  private readonly own = new Map<string, NodeSession>();
  private lastId = 0;

  constructor(rules: ClusterRules) {
    this.rules = rules;
  }

  /** A message of QoS 2 for the device. False: nobody has its session, or would keep it on a move. */
  deliver(text: string): boolean {
    const session = this.holder?.session;
    if (!this.rules.shares || this.holder === undefined || session === undefined) return false;
    this.lastId = (this.lastId % 20) + 1;
    if (session.outgoing.some(({ id }) => id === this.lastId)) return false;
    session.outgoing.push({ id: this.lastId, text, isReceived: false });
    if (!this.holder.isOver) this.holder.outbox.push(`PUBLISH #${this.lastId} q2 u=${text}`);
    return true;
  }

  /** The node does one thing. @param die chooses when a node that gives the session away does so */
  work(link: NodeLink, die: number): void {
    const [verb = '', ...words] = (link.inbox.shift() ?? '').split(' ');
    if (verb === '' || link.isOver) return;
    const id = Number(words.find((word) => word.startsWith('#'))?.slice(1));
    const text = words.at(-1)?.split('=')[1] ?? '';
    const { session } = link;
    if (verb === 'CONNECT') return this.connect(link, die);
    if (verb === 'DISCONNECT' || verb === 'gone') return this.close(link);
    if (session === undefined) throw new Error(`${verb} before CONNECT`);
    switch (verb) {
      case 'PINGREQ':
        return void link.outbox.push('PINGRESP');
      case 'PUBLISH':
        return this.published(
          link,
          session,
          words.includes('q2') ? 2 : words.includes('q1') ? 1 : 0,
          id,
          text,
        );
      case 'PUBREL':
        if (this.rules.passesOnAt === 'PUBREL' && session.incoming.has(id))
          this.passedOn.push(session.incoming.get(id) ?? '');
        session.incoming.delete(id);
        return void link.outbox.push(`PUBCOMP #${id}`);
      case 'PUBREC': {
        const entry = session.outgoing.find((each) => each.id === id);
        if (entry !== undefined) entry.isReceived = true;
        return void link.outbox.push(`PUBREL #${id}`);
      }
      case 'PUBCOMP':
        session.outgoing = session.outgoing.filter((each) => each.id !== id);
    }
  }

  private published(
    link: NodeLink,
    { incoming }: NodeSession,
    qos: 0 | 1 | 2,
    id: number,
    text: string,
  ): void {
    const isNew = qos < 2 || !incoming.has(id);
    if (isNew && (qos < 2 || this.rules.passesOnAt === 'PUBLISH')) this.passedOn.push(text);
    if (qos === 1) link.outbox.push(`PUBACK #${id}`);
    if (qos < 2) return;
    if (isNew) incoming.set(id, text);
    link.outbox.push(`PUBREC #${id}`);
  }

  /**
   * A takeover has two steps, as EMQX's: the node before gives what it has now, and is told later to close its link. What it
   * takes on between them, the next one does not know.
   */
  private connect(link: NodeLink, die: number): void {
    const { holder, rules } = this;
    const before = rules.shares ? holder?.session : this.own.get(link.node);
    link.session = before?.copy() ?? new NodeSession();
    if (rules.shares && holder !== undefined && !holder.isOver)
      holder.inbox.splice(die % (holder.inbox.length + 1), 0, 'gone');
    if (!rules.shares) this.own.set(link.node, link.session);
    this.holder = link;
    link.outbox.push(before === undefined ? 'CONNACK' : 'CONNACK present');
    for (const { id, text, isReceived } of link.session.outgoing)
      link.outbox.push(isReceived ? `PUBREL #${id}` : `PUBLISH #${id} q2 dup u=${text}`);
  }

  private close(link: NodeLink): void {
    link.isOver = true;
    link.inbox.length = 0;
    link.outbox.push('fin');
  }
}
