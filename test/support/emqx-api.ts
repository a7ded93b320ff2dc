import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { freePort } from './free-port.ts';

export const KEY = 'breakwater';
export const SECRET = 's3cret/+:ä';

/** What one EMQX 5 knows of its cluster. */
export interface EmqxCluster {
  /** Status by host; the node's name is `emqx@HOST`. */
  nodes: Record<string, 'running' | 'stopped'>;
  evacuating: string[];
  /** Hosts that give devices away. */
  donors: string[];
  /** Open source before 5.9 has no `/load_rebalance`. */
  rebalance: boolean;
  /** Answers instead of the truth. */
  trouble: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
}

/**
 * HTTP APIs that answer as EMQX 5 does (docs.emqx.com, "REST API"; `emqx_mgmt_api_nodes.erl`,
 * `emqx_node_rebalance_api.erl`), one at each of the hosts, all on one port.
 */
export async function startEmqxApi(hosts: readonly string[]) {
  const cluster: EmqxCluster = {
    nodes: Object.fromEntries(hosts.map((host) => [host, 'running'])),
    evacuating: [],
    donors: [],
    rebalance: true,
    trouble: undefined,
  };
  const requests: string[] = [];
  const servers = new Map<string, ReturnType<typeof createServer>>();
  const port = await freePort();
  for (const host of hosts) {
    const server = createServer((request, response) => {
      requests.push(`${host}${request.url}${request.headers.authorization === undefined ? '' : ' with key'}`);
      if (cluster.trouble !== undefined) cluster.trouble(request, response);
      else reply(cluster, host, request, response);
    });
    server.listen(port, host);
    await once(server, 'listening');
    servers.set(host, server);
  }
  const stop = (host: string) =>
    new Promise((resolve) => {
      servers.get(host)?.close(resolve);
      servers.get(host)?.closeAllConnections();
    });
  return {
    cluster,
    requests,
    url: `http://${hosts[0]}:${port}`,
    stop,
    stopAll: () => Promise.all(hosts.map(stop)),
  };
}

function reply(cluster: EmqxCluster, self: string, request: IncomingMessage, response: ServerResponse): void {
  const { nodes, evacuating, donors } = cluster;
  const send = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const path = request.url?.replace('/api/v5', '');
  if (path?.startsWith('/load_rebalance') && !cluster.rebalance)
    return send(404, { code: 'NOT_FOUND', message: 'Not Found' });
  if (path === '/load_rebalance/availability_check') {
    if (!evacuating.includes(self)) return send(200, {});
    return send(503, { code: 'NODE_EVACUATING', message: 'Node Evacuating' });
  }
  if (request.headers.authorization !== `Basic ${Buffer.from(`${KEY}:${SECRET}`).toString('base64')}`) {
    return send(401, { code: 'BAD_API_KEY_OR_SECRET', message: 'Check api_key/api_secret' });
  }
  if (path === '/nodes')
    return send(
      200,
      Object.entries(nodes).map(([host, status]) => nodeInfo(host, status)),
    );
  if (path === '/load_rebalance/global_status') {
    return send(200, {
      evacuations: evacuating.map((host) => ({
        node: `emqx@${host}`,
        state: 'evicting_conns',
        connection_goal: 0,
        stats: { current_connected: 3 },
      })),
      purges: [],
      rebalances:
        donors.length === 0
          ? []
          : [
              {
                node: `emqx@${self}`,
                state: 'evicting_conns',
                donors: donors.map((host) => `emqx@${host}`),
                recipients: [],
              },
            ],
    });
  }
  send(404, { code: 'NOT_FOUND', message: 'Not Found' });
}

/** A stopped node is known by its name only. */
function nodeInfo(host: string, status: 'running' | 'stopped') {
  const known = { node: `emqx@${host}`, node_status: status, role: 'core' };
  if (status === 'stopped') return known;
  return {
    ...known,
    version: '5.8.6',
    edition: 'Enterprise',
    uptime: 42_000,
    connections: 3,
    live_connections: 3,
    load1: 0.1,
    otp_release: '26.2.5',
    memory_used: '1.2G',
    max_fds: 1_048_576,
  };
}
