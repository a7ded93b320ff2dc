import { Command } from 'commander';
import type { NodeView, PoolView, StatusView } from '../../admin/backend.ts';
import { createAdminClient, DEFAULT_ADMIN } from '../admin-client.ts';
import { type Finding, findingsOf } from '../findings.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { print, printDetails, printJson } from '../output/print.ts';

/** `breakwater status`: one look at one proxy and its cluster, and what is wrong with them. Exit code 1 if something is. */
export function statusCommand(): Command {
  const command = new Command('status')
    .description(
      'show how the proxy and its cluster are, what is wrong, and what helps; exit code 1 if something is',
    )
    .action(async (options: DataOptions) => {
      const admin = createAdminClient(options);
      const [status, nodes, pools] = await Promise.all([
        admin.get<StatusView>('status'),
        admin.get<readonly NodeView[]>('nodes'),
        admin.get<readonly PoolView[]>('pools'),
      ]);
      const findings = findingsOf({ status, nodes, pools }, Date.now());
      if (options.json) printJson({ ...status, findings });
      else {
        printDetails(summary(status));
        print(`\n${findingsText(findings, admin.url)}`);
      }
      if (findings.length > 0) process.exitCode = 1;
    });
  return withExample(withAdminOptions(command), 'status', 'status --json');
}

/** What is wrong, and below each what helps: a command of ours names the proxy that was asked. */
function findingsText(findings: readonly Finding[], adminUrl: string): string {
  if (findings.length === 0) return 'nothing is wrong';
  const at = adminUrl === DEFAULT_ADMIN ? '' : ` --admin ${adminUrl}`;
  const lines = findings.map(({ what, help }) => {
    const command = help.startsWith('breakwater ') ? `${help}${at}` : help;
    return `! ${what}\n    ${command}`;
  });
  return lines.join('\n');
}

function summary({ cluster, proxy, store, nodes, ...rest }: StatusView) {
  return {
    cluster,
    proxy: `${proxy.id} (version ${proxy.version}, ${proxy.engine} × ${proxy.threads}, pid ${proxy.pid} on ${proxy.host})`,
    ...(proxy.engineReason !== undefined && { engine: `${proxy.engine}, ${proxy.engineReason}` }),
    ready: rest.ready ? 'yes' : 'no',
    listeners: proxy.listeners.join(' '),
    nodes: `${nodes.total}, of which ${nodes.healthy} healthy and ${nodes.enabled} enabled`,
    connections: `${rest.connections} now, ${rest.connectionsTotal} since start, ${rest.rejectedTotal} rejected`,
    store: `${store.kind}, ${store.up ? 'up' : 'down'}`,
    started: proxy.startedAt,
  };
}
