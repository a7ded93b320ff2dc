import type { Broker } from '../../cluster/broker.ts';
import { startBroker } from '../../cluster/broker.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { inMemoryCluster } from '../../cluster/in-memory.ts';
import { freePort } from './free-port.ts';
import { atEnd } from './process.ts';

/** So many broker nodes of one cluster in this process: `aedes-1`, `aedes-2`, … */
export async function startAedes(
  count: number,
  cluster: Cluster = inMemoryCluster(),
  host = '127.0.0.1',
): Promise<Broker[]> {
  const names = Array.from({ length: count }, (_, index) => `aedes-${index + 1}`);
  const brokers = await Promise.all(
    names.map(async (id) => startBroker({ host, port: await freePort(), id, cluster })),
  );
  for (const broker of brokers) atEnd(() => broker.stop());
  return brokers;
}
