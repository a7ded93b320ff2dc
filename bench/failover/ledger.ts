/** What devices saw of numbered messages, and what that says about the proxy between them and the brokers. */

export type Qos = 0 | 1 | 2;

export interface Losses {
  readonly qos1: number;
  readonly qos2: number;
}

export interface Account {
  readonly published: number;
  readonly acknowledged: number;
  readonly received: number;
  /** QoS 1 and 2 publishes that nobody acknowledged. */
  readonly unacknowledged: number;
  /** Acknowledged publishes that the subscriber never received. */
  readonly lost: Losses;
  /** Of these, the ones that were published after `markLater`. */
  readonly lostLater: Losses;
  /** Of the lost ones of QoS 2, those that had PUBREC and no PUBCOMP at each `markHalfway`. */
  readonly lostHalfway: number;
  readonly duplicates: Losses;
  /** Messages that came for the first time behind a later one of the same topic and publisher. */
  readonly outOfOrder: Losses & { readonly qos0: number };
  /** From PUBLISH to PUBACK or PUBCOMP, in milliseconds. */
  readonly slowestAckMs: number;
  /** A few of each finding, for the search of its cause: `lost 12→13 #4 qos 2`. */
  readonly examples: readonly string[];
}

export interface AckTimes {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

interface Acknowledgement {
  readonly publisher: number;
  /** Since the epoch. */
  readonly sentAtMs: number;
  readonly afterMs: number;
}

interface Topic {
  readonly publisher: number;
  readonly subscriber: number;
  readonly qos: Qos;
  /** By sequence number. */
  readonly acknowledged: boolean[];
  readonly received: number[];
  /** Number of the first message behind the fault. */
  later: number;
  highest: number;
  outOfOrder: number;
}

const EXAMPLES = 20;

/** One topic for each publisher, with one subscriber, which is subscribed throughout. */
export class Ledger {
  private readonly topics: Topic[];
  private slowestAckMs = 0;
  private readonly acks: Acknowledgement[] = [];
  private readonly disorder: string[] = [];
  private halfway: ReadonlySet<string> | undefined;

  constructor(topics: readonly { readonly subscriber: number; readonly qos: Qos }[]) {
    this.topics = topics.map(({ subscriber, qos }, publisher) => ({
      ...{ publisher, subscriber, qos },
      ...{ acknowledged: [], received: [], later: 0, highest: -1, outOfOrder: 0 },
    }));
  }

  /** Returns the number of the message. */
  published(publisher: number): number {
    const { acknowledged, received } = this.topic(publisher);
    received.push(0);
    return acknowledged.push(false) - 1;
  }

  acknowledged(publisher: number, sequence: number, afterMs: number): void {
    this.topic(publisher).acknowledged[sequence] = true;
    this.slowestAckMs = Math.max(this.slowestAckMs, afterMs);
    this.acks.push({ publisher, sentAtMs: Date.now() - afterMs, afterMs });
  }

  received(publisher: number, sequence: number): void {
    const topic = this.topic(publisher);
    const before = topic.received[sequence] ?? 0;
    topic.received[sequence] = before + 1;
    if (before > 0) return;
    if (sequence < topic.highest) {
      topic.outOfOrder++;
      this.disorder.push(`out of order ${name(topic, sequence)} behind #${topic.highest}`);
    }
    topic.highest = Math.max(topic.highest, sequence);
  }

  /** How long acknowledgements of these publishers took, of what they sent in that time since the epoch; in milliseconds. */
  ackTimes(isMeant: (publisher: number) => boolean, fromMs: number, toMs: number): AckTimes {
    const times = this.acks
      .filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs < toMs)
      .filter(({ publisher }) => isMeant(publisher))
      .map(({ afterMs }) => afterMs)
      .sort((a, b) => a - b);
    const at = (part: number) => Math.round((times[Math.ceil(times.length * part) - 1] ?? 0) * 10) / 10;
    return { count: times.length, p50: at(0.5), p99: at(0.99) };
  }

  /** From here on nothing that is published may be lost, whatever was before. */
  markLater(): void {
    for (const topic of this.topics) topic.later = topic.received.length;
  }

  /** @param messages `publisher sequence` of each that is half acknowledged at this moment; of several calls, at each */
  markHalfway(messages: readonly string[]): void {
    this.halfway = new Set(messages.filter((message) => this.halfway?.has(message) ?? true));
  }

  /** @param isMeant of these publishers only */
  account(isMeant: (publisher: number) => boolean = () => true): Account {
    const topics = this.topics.filter(({ publisher }) => isMeant(publisher));
    const sum = (of: (topic: Topic) => number) => topics.reduce((total, topic) => total + of(topic), 0);
    const sumOf = (qos: Qos, of: (topic: Topic) => number) =>
      sum((topic) => (topic.qos === qos ? of(topic) : 0));
    const byQos = (of: (topic: Topic) => number) => ({ qos1: sumOf(1, of), qos2: sumOf(2, of) });
    const outOfOrder = (topic: Topic) => topic.outOfOrder;
    const examples = [
      ...this.disorder,
      ...topics.flatMap((topic) => lost(topic).map((sequence) => `lost ${name(topic, sequence)}`)),
      ...topics.flatMap((topic) =>
        topic.received.flatMap((count, sequence) =>
          count > 1 && topic.qos === 2 ? [`duplicate ${name(topic, sequence)}`] : [],
        ),
      ),
    ];
    return {
      published: sum(({ received }) => received.length),
      acknowledged: sum(({ acknowledged }) => acknowledged.filter(Boolean).length),
      received: sum(({ received }) => received.filter((count) => count > 0).length),
      unacknowledged: sum(({ qos, acknowledged }) =>
        qos === 0 ? 0 : acknowledged.filter((acked) => !acked).length,
      ),
      lost: byQos((topic) => lost(topic).length),
      lostLater: byQos((topic) => lost(topic).filter((sequence) => sequence >= topic.later).length),
      lostHalfway: sumOf(
        2,
        (topic) => lost(topic).filter((sequence) => this.isHalfway(topic, sequence)).length,
      ),
      duplicates: byQos(({ received }) =>
        received.reduce((total, count) => total + Math.max(0, count - 1), 0),
      ),
      outOfOrder: { qos0: sumOf(0, outOfOrder), ...byQos(outOfOrder) },
      slowestAckMs: Math.round(this.slowestAckMs),
      examples: examples.slice(0, EXAMPLES),
    };
  }

  /** Does nothing wait any more, as far as QoS 1 and 2 promise that it will come? */
  get isSettled(): boolean {
    return this.topics.every(
      (topic) => topic.qos === 0 || (topic.acknowledged.every(Boolean) && lost(topic).length === 0),
    );
  }

  private isHalfway({ publisher }: Topic, sequence: number): boolean {
    return this.halfway?.has(`${publisher} ${sequence}`) ?? false;
  }

  private topic(publisher: number): Topic {
    const topic = this.topics[publisher];
    if (topic === undefined) throw new Error(`no publisher ${publisher}`);
    return topic;
  }
}

function lost({ acknowledged, received }: Topic): number[] {
  return acknowledged.flatMap((acked, sequence) => (acked && received[sequence] === 0 ? [sequence] : []));
}

function name({ publisher, subscriber, qos }: Topic, sequence: number): string {
  return `${publisher}→${subscriber} #${sequence} qos ${qos}`;
}
