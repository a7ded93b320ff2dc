import type { BreakwaterEvent } from '../admin/backend.ts';
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
 */
export async function* readEvents(
  admin: Pick<AdminClient, 'open'>,
  signal: AbortSignal,
  query = '',
): AsyncGenerator<ToldEvent> {
  const response = await admin.open(`events?${query}`, 'text/event-stream', signal);
  if (response.statusCode !== 200) return void response.destroy();
  let rest = '';
  let id = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) return;
    for (const line of lines) {
      if (line.startsWith('id:')) id = line.slice('id:'.length).trim();
      if (!line.startsWith('data:')) continue;
      yield { id, event: JSON.parse(line.slice('data:'.length)) as BreakwaterEvent };
    }
  }
}
