import { z } from 'zod';
import type { UpgradeTerms } from '../connection/websocket/upgrade.ts';
import { matchablePath } from '../protocol/http/path.ts';
import { parseAddress } from './address.ts';
import { text } from './fields.ts';

/** Who may speak WebSocket to a listener. */

/** `scheme://host[:port]`, as browsers write it in the Origin header (RFC 6454, 6.2). */
const origin = text().regex(/^[a-z][a-z0-9+.-]*:\/\/[^/\s?#@,]+$/i, {
  error: ({ input }) => `must be an origin such as https://app.example.com, without a path, not '${input}'`,
});

export const websocketSchema = z.strictObject({
  origins: z
    .array(origin)
    .min(1, { error: 'must not be an empty list; leave it out to allow any' })
    .max(256, { error: 'must hold at most 256 origins' })
    .optional()
    .meta({
      kind: 'list of origins',
      description:
        'Pages that may connect, such as `https://app.example.com`; those of other origins are answered 403. Without it any may. What is no browser sends no origin, and may connect. For `ws` and `wss` only.',
    }),
});

/** What is wrong with this block at a listener of this URL; undefined when nothing is. */
export function websocketProblem(url: string, websocket: unknown): string | undefined {
  if (websocket === undefined || /^wss?:/.test(url)) return undefined;
  return 'is for ws and wss listeners; leave it out';
}

/** Undefined where the listener speaks no WebSocket. */
export function toUpgradeTerms(
  url: string,
  websocket: z.output<typeof websocketSchema> | undefined,
): UpgradeTerms | undefined {
  const { path } = parseAddress(url);
  const origins = websocket?.origins?.map((each) => each.toLowerCase());
  return path === undefined ? undefined : { path: matchablePath(path), origins };
}
