import type { Aedes, Client } from 'aedes';
import type { MQEmitter } from 'mqemitter';

interface Will {
  readonly brokerId?: string;
  readonly clientId?: string;
}
/** What an aedes persistence does with Wills. */
export interface Wills {
  delWill(client: { id: string; brokerId: string }): Promise<unknown>;
  streamWill(brokers?: object): AsyncIterable<Will>;
}

const NEW_CLIENTS = '$SYS/+/new/clients';

/**
 * A device that another node of the cluster has taken over is alive, and its Will went there with it: the node that it
 * left publishes none, nor do the others when that node dies. (EMQX before 5.6 does the same; by [MQTT-3.1.2-8] to the letter, each
 * would be published.) To be called before the broker listens to its bus itself.
 */
export function keepWillsOnTakeover(aedes: Aedes, mq: Pick<MQEmitter, 'on'>, wills: Wills): void {
  const { streamWill } = wills;
  const inside = aedes as unknown as {
    clients: Record<string, Client & { will: object | null }>;
  };

  mq.on(NEW_CLIENTS, (message, done) => {
    const clientId = `${message.payload as Buffer}`;
    const client = inside.clients[clientId];
    if (client?.will && message.topic !== NEW_CLIENTS.replace('+', aedes.id)) {
      client.will = null;
      void wills.delWill({ id: clientId, brokerId: aedes.id }).catch(() => {});
    }
    done();
  });

  wills.streamWill = async function* ofTheGone(living = {}) {
    const all: Will[] = [];
    for await (const will of streamWill.call(wills)) all.push(will);
    const lives = ({ brokerId = '' }: Will) => brokerId === aedes.id || Object.hasOwn(living, brokerId);
    const alive = new Set(all.filter(lives).map(({ clientId }) => clientId));
    for (const will of all) {
      const { clientId = '', brokerId = '' } = will;
      if (lives(will)) continue;
      if (alive.has(clientId)) await wills.delWill({ id: clientId, brokerId });
      else yield will;
    }
  };
}
