import type { IncomingMessage } from 'node:http';
import type { BreakwaterEvent } from '../admin/backend.ts';
import type { PeersTold } from '../admin/journal-views.ts';
import type { AdminClient } from './admin-client.ts';

/** Server-sent events of the admin API, as they come. */

/** A line longer than this is no event of ours. */
const MAX_LINE_CHARS = 65_536;

/** One event, and the id behind which a later reader goes on. */
export interface ToldEvent {
  readonly id: string;
  readonly event: BreakwaterEvent;
}

/**
 * Follows `GET /api/v1/events` until the signal aborts or the server ends the stream; gives each event in turn.
 * @param query such as `since=…&kind=node`
 * @param onPeers told how far other proxies tell
 */
export async function* readEvents(
  admin: Pick<AdminClient, 'open'>,
  signal: AbortSignal,
  query = '',
  onPeers = (_told: PeersTold): void => {},
): AsyncGenerator<ToldEvent> {
  const response = await admin.open(`events?${query}`, 'text/event-stream', signal);
  if (response.statusCode !== 200) return void response.destroy();
  for await (const { name, id, data } of readStream(response)) {
    if (name === 'peers') onPeers(data as PeersTold);
    else yield { id, event: data as BreakwaterEvent };
  }
}

interface StreamEvent {
  readonly name: string;
  /** The last that was given. */
  readonly id: string;
  readonly data: unknown;
}

/** Server-sent events (HTML standard, clause 9.2) whose data is one line of JSON. */
export async function* readStream(response: IncomingMessage): AsyncGenerator<StreamEvent> {
  let rest = '';
  let id = '';
  let name = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) return;
    for (const line of lines) {
      if (line.startsWith('id:')) id = line.slice('id:'.length).trim();
      if (line.startsWith('event:')) name = line.slice('event:'.length).trim();
      if (line.startsWith('data:')) yield { name, id, data: JSON.parse(line.slice('data:'.length)) };
    }
  }
}
