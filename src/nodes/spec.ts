import { BreakwaterError } from '../base/errors.ts';
import {
  MAX_CONNECTIONS_MAX,
  type NodeSource,
  type NodeSpec,
  WEIGHT_DEFAULT,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from './node.ts';
import { defaultNodeId, parseNodeUrl, parseProbeUrl } from './url.ts';

/** A node as a person or a discovery describes it; what is left out has a default. */
interface NodeDeclaration {
  readonly url: string;
  /** Default: `host:port` of the URL. */
  readonly id?: string | undefined;
  readonly pool: string;
  readonly weight?: number | undefined;
  /** Default, and what 0 means: no limit. */
  readonly maxConnections?: number | undefined;
  readonly probeUrl?: string | undefined;
  readonly source: NodeSource;
}

/**
 * Fills in the defaults and checks everything that can be known without asking the network.
 * @throws BreakwaterError NODE_INVALID
 */
export function nodeSpec(declared: NodeDeclaration): NodeSpec {
  const { url, pool, weight = WEIGHT_DEFAULT, maxConnections = 0, probeUrl, source } = declared;
  const endpoint = parseNodeUrl(url);
  if (probeUrl !== undefined) parseProbeUrl(probeUrl);
  const id = declared.id ?? defaultNodeId(endpoint);
  checkNodeId(id);
  checkWeight(id, weight);
  checkMaxConnections(id, maxConnections);
  return {
    ...{ id, pool, url, weight, source },
    ...(maxConnections === 0 ? {} : { maxConnections }),
    ...(probeUrl === undefined ? {} : { probeUrl }),
  };
}

/** @throws BreakwaterError NODE_INVALID */
export function checkNodeId(id: string): void {
  if (/^[A-Za-z0-9._:@-]{1,64}$/.test(id)) return;
  const shown = JSON.stringify(id.slice(0, 100));
  const problem = 'an id has 1 to 64 of the characters A-Z a-z 0-9 . _ : @ -';
  throw new BreakwaterError('NODE_INVALID', `node id ${shown}: ${problem}; for example emqx-1`);
}

/** @throws BreakwaterError NODE_INVALID */
export function checkMaxConnections(id: string, maxConnections: number): void {
  if (Number.isInteger(maxConnections) && maxConnections >= 0 && maxConnections <= MAX_CONNECTIONS_MAX)
    return;
  const problem = `maxConnections ${maxConnections} is not a whole number from 0 to ${MAX_CONNECTIONS_MAX}`;
  throw new BreakwaterError('NODE_INVALID', `node ${id}: ${problem}; 0 sets no limit`);
}

/** @throws BreakwaterError NODE_INVALID */
export function checkWeight(id: string, weight: number): void {
  if (Number.isInteger(weight) && weight >= WEIGHT_MIN && weight <= WEIGHT_MAX) return;
  const problem = `weight ${weight} is not a whole number from ${WEIGHT_MIN} to ${WEIGHT_MAX}`;
  throw new BreakwaterError('NODE_INVALID', `node ${id}: ${problem}; for example ${WEIGHT_DEFAULT}`);
}
