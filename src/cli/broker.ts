import { once } from 'node:events';
import { hostname } from 'node:os';
import { startBroker } from '../../cluster/broker.ts';
import { redisCluster } from '../../cluster/over-redis.ts';
import { BreakwaterError, messageOf } from '../errors.ts';

export interface BrokerCommandOptions {
  /** `mqtt://host:port`; port 0 lets the system choose. */
  readonly listen: string;
  /** `redis://host:port`: brokers that name the same Redis are one cluster. Absent: this broker stands alone. */
  readonly redis?: string;
}

/** `breakwater broker`: one broker node, until SIGTERM or SIGINT. Resolves to the exit code. */
export async function runBroker(options: BrokerCommandOptions): Promise<number> {
  const { host, port } = parseListen(options.listen);
  const cluster = options.redis === undefined ? undefined : redisCluster(options.redis, reportStore());
  const broker = await startBroker({
    host,
    port,
    id: `${hostname()}-${process.pid}`,
    ...(cluster && { cluster }),
  });
  const company = options.redis === undefined ? 'stands alone' : 'shares its cluster over Redis';
  console.log(
    `broker ${broker.id} listens on ${broker.url} (MQTT 3.1 and 3.1.1) and ${company}; Ctrl-C stops it`,
  );
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await broker.stop();
  return 0;
}

function parseListen(listen: string): { host: string; port: number } {
  const url = URL.canParse(listen) ? new URL(listen) : undefined;
  if (url?.protocol !== 'mqtt:' || url.hostname === '') {
    throw new BreakwaterError('USAGE', `--listen ${listen} is not an address; write mqtt://127.0.0.1:1884`);
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 1883 : Number(url.port) };
}

/** One line for an outage, not one for every attempt to reconnect. */
function reportStore(): (error: unknown) => void {
  let last = '';
  return (error) => {
    const message = messageOf(error);
    if (message !== last) console.error(`broker: Redis: ${message}`);
    last = message;
  };
}
