import { Command } from 'commander';
import type { StatusView } from '../admin/backend.ts';
import { createAdminClient } from './admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from './options.ts';
import { printDetails, printJson } from './print.ts';

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

function summary({ cluster, proxy, store, nodes, ...rest }: StatusView) {
  return {
    cluster,
    proxy: `${proxy.id} (version ${proxy.version}, ${proxy.engine} × ${proxy.threads}, pid ${proxy.pid} on ${proxy.host})`,
    ready: rest.ready ? 'yes' : 'no',
    listeners: proxy.listeners.join(' '),
    nodes: `${nodes.total}, of which ${nodes.healthy} healthy and ${nodes.enabled} enabled`,
    connections: `${rest.connections} now, ${rest.connectionsTotal} since start, ${rest.rejectedTotal} rejected`,
    store: `${store.kind}, ${store.up ? 'up' : 'down'}`,
    started: proxy.startedAt,
  };
}
