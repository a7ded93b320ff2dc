import { Command } from 'commander';
import type { StatusView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { printDetails, printJson } from '../output/print.ts';

/** `breakwater status`: one look at one proxy and its cluster. */
export function statusCommand(): Command {
  const command = new Command('status')
    .description('show how the proxy and its cluster are')
    .action(async (options: DataOptions) => {
      const status = await createAdminClient(options).get<StatusView>('status');
      if (options.json) printJson(status);
      else printDetails(summary(status));
    });
  return withExample(withAdminOptions(command), 'status');
}

/** Those that are past their date, a line each. */
function expiredCrls(crls: StatusView['crls']): Record<string, string> {
  const expired = crls.filter(({ state }) => state !== 'valid');
  return Object.fromEntries(
    expired.map(({ listener, issuer, nextUpdate, state }, i) => {
      const then = state === 'tolerated' ? 'it is used as it is' : 'no device with a certificate is let in';
      return [
        i === 0 ? 'crl' : `crl ${i + 1}`,
        `of ${issuer} at ${listener} expired at ${nextUpdate}; ${then}`,
      ];
    }),
  );
}

function summary({ cluster, proxy, store, nodes, ...rest }: StatusView) {
  return {
    cluster,
    proxy: `${proxy.id} (version ${proxy.version}, ${proxy.engine} × ${proxy.threads}, pid ${proxy.pid} on ${proxy.host})`,
    ready: rest.ready ? 'yes' : 'no',
    ...(rest.silentThreads.length > 0 && {
      'do not answer': `data threads ${rest.silentThreads.join(', ')}`,
    }),
    listeners: proxy.listeners.join(' '),
    nodes: `${nodes.total}, of which ${nodes.healthy} healthy and ${nodes.enabled} enabled`,
    connections: `${rest.connections} now, ${rest.connectionsTotal} since start, ${rest.rejectedTotal} rejected`,
    store: `${store.kind}, ${store.up ? 'up' : 'down'}`,
    started: proxy.startedAt,
    ...expiredCrls(rest.crls),
  };
}
