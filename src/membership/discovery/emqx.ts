import type { Agent, request } from 'undici';
import { z } from 'zod';
import { formatAuthority, isLoopback } from '../../config/address.ts';
import type { EmqxDiscoveryConfig } from '../../config/config.ts';
import { nodeSpec } from '../../nodes/spec.ts';
import { speaksMqtt } from '../../nodes/url.ts';
import { lookupBy } from '../../protocol/address/lookup.ts';
import type { DiscoveredNode, Discovery } from './discovery.ts';
import { nodeIdOf } from './node-id.ts';
import { Poll } from './poll.ts';
import { resolveHost } from './resolve.ts';

/**
 * The HTTP API of EMQX 5 (docs.emqx.com: REST API, "Nodes" and "Load Rebalance"; its source: `emqx_mgmt_api_nodes`,
 * `emqx_node_rebalance_api`). Of what it answers only what is read here is checked.
 */
const nodesAnswer = z
  .array(z.object({ node: z.string().regex(/^[^@]+@[^@]+$/), node_status: z.string() }))
  .max(1024);

const rebalanceAnswer = z.object({
  evacuations: z.array(z.object({ node: z.string() })).default([]),
  rebalances: z.array(z.object({ donors: z.array(z.string()).default([]) })).default([]),
});

const ANSWER_MAX_BYTES = 4 * 1024 * 1024;

/** An availability check is one host's word about itself; the question as a whole, which has 1 s at least, goes on without it. */
const CHECK_TIMEOUT_MS = 500;

/** For undici, which would ask `getaddrinfo`. */
const lookup = lookupBy(resolveHost);

/** One question's way to the API. */
interface Api {
  readonly config: EmqxDiscoveryConfig;
  readonly agent: Agent;
  readonly signal: AbortSignal;
}

/**
 * Every node of an EMQX cluster, as one of them tells. A node is draining here while it is not running, evacuates,
 * or gives devices away in a rebalance. The host is what follows `@` in its name; a loopback one, which is what a
 * single EMQX calls itself, means the host of the API.
 */
export function emqxDiscovery(config: EmqxDiscoveryConfig, pool: string): Discovery {
  let unavailable: ReadonlySet<string> = new Set();
  return new Poll(`EMQX API ${config.url}`, config.intervalMs, async (signal) => {
    const { Agent } = await import('undici'); // takes its time to load, which few proxies need
    const agent = new Agent({ maxResponseSize: ANSWER_MAX_BYTES, connect: { lookup } });
    const api = { config, agent, signal };
    try {
      const [listed, leaving] = await Promise.all([listNodes(api), leavingNodes(api)]);
      const running = listed.filter(({ status }) => status === 'running');
      unavailable = await unavailableNodes(api, running, unavailable);
      return listed.map(({ name, host, status }): DiscoveredNode => {
        const url = `${config.scheme}://${formatAuthority(host, config.port)}`;
        // The same node's HTTP side is another node, in another pool.
        const id = nodeIdOf(speaksMqtt(url) ? name : `${name}:${config.port}`);
        const spec = nodeSpec({ id, url, pool, source: 'emqx' });
        return { spec, draining: status !== 'running' || leaving.has(name) || unavailable.has(name) };
      });
    } finally {
      void agent.destroy();
    }
  });
}

interface Listed {
  readonly name: string;
  readonly host: string;
  /** `running` or `stopped`; early versions of EMQX 5 write them with a capital. */
  readonly status: string;
}

/** `GET /api/v5/nodes`: `[{node: "emqx@10.0.0.1", node_status: "running", …}, {node: …, node_status: "stopped"}]`. */
async function listNodes(api: Api): Promise<Listed[]> {
  const listed = await ask(api, '/api/v5/nodes', nodesAnswer);
  if (listed === undefined) throw new Error('it has no /api/v5/nodes; is this the API of an EMQX 5?');
  if (listed.length === 0) throw new Error('it lists no node');
  const apiHost = new URL(api.config.url).hostname.replace(/^\[|\]$/g, '');
  return listed.map(({ node, node_status }) => {
    return { name: node, host: hostOf(node, apiHost), status: node_status.toLowerCase() };
  });
}

/** Where a node is reached from here. @param apiHost where the API was reached */
export function hostOf(node: string, apiHost: string): string {
  const host = node.slice(node.indexOf('@') + 1);
  return isLoopback(host) && !isLoopback(apiHost) ? apiHost : host;
}

/**
 * `GET /api/v5/load_rebalance/global_status`: nodes that evacuate, and donors of a rebalance.
 * EMQX without that feature (open source before 5.9) has no such path.
 */
async function leavingNodes(api: Api): Promise<ReadonlySet<string>> {
  const answer = await ask(api, '/api/v5/load_rebalance/global_status', rebalanceAnswer);
  if (answer === undefined) return new Set();
  const { evacuations, rebalances } = answer;
  return new Set([...evacuations.map(({ node }) => node), ...rebalances.flatMap(({ donors }) => donors)]);
}

/**
 * `GET /api/v5/load_rebalance/availability_check` at each node's own API: 503 while it sends devices away, made for
 * load balancers, and open to everybody, so that the key goes to the configured address only. A host that gives no
 * answer (its API may not be reachable from here) is what it was before.
 */
async function unavailableNodes(
  { config, agent, signal }: Api,
  nodes: readonly Listed[],
  before: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const { protocol, port } = new URL(config.url);
  const apiPort = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  const within = AbortSignal.any([signal, AbortSignal.timeout(CHECK_TIMEOUT_MS)]);
  const checks = nodes.map(async ({ name, host }) => {
    try {
      const url = `${protocol}//${formatAuthority(host, apiPort)}/api/v5/load_rebalance/availability_check`;
      const { statusCode } = await get(url, { dispatcher: agent, signal: within });
      return statusCode === 503 ? [name] : [];
    } catch {
      return before.has(name) ? [name] : [];
    }
  });
  return new Set((await Promise.all(checks)).flat());
}

/** The answer of the configured API; undefined where it has no such path. */
async function ask<T>(api: Api, path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const { config, agent, signal } = api;
  const authorization = `Basic ${Buffer.from(`${config.key}:${config.secret}`).toString('base64')}`;
  const headers = { authorization, accept: 'application/json' };
  const { statusCode, text } = await get(`${config.url}${path}`, {
    dispatcher: agent,
    signal,
    headers,
  }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`GET ${path} failed (${error.code ?? error.name})`, { cause: error });
  });
  if (statusCode === 404) return undefined;
  if (statusCode !== 200) throw new Error(refusal(path, statusCode, text));
  const checked = schema.safeParse(json(text));
  if (!checked.success) throw new Error(`GET ${path} did not answer as EMQX 5 does`);
  return checked.data;
}

async function get(url: string, options: NonNullable<Parameters<typeof request>[1]>) {
  const { request } = await import('undici');
  const { statusCode, body } = await request(url, options);
  return { statusCode, text: await body.text() };
}

/** EMQX says why in `code`: `BAD_API_KEY_OR_SECRET`, `UNAUTHORIZED_ROLE`. */
function refusal(path: string, status: number, text: string): string {
  const { data: reason } = z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) }).safeParse(json(text));
  const told = reason === undefined ? `${status}` : `${status} ${reason.code}`;
  if (status === 401) return `it refuses the key or its secret (${told})`;
  if (status === 403) return `the key may not read ${path} (${told})`;
  return `GET ${path} answered ${told}`;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
