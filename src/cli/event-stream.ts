import type { BreakwaterEvent } from '../admin/backend.ts';

/** A line longer than this is no event of ours. */
const MAX_LINE_CHARS = 65_536;

/** Follows `GET /api/v1/events` until the signal aborts or the server ends the stream; gives each event in turn. */
export async function* readEvents(
  adminUrl: string,
  token: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<BreakwaterEvent> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`${adminUrl}/api/v1/events`, { headers, signal });
  if (!response.ok || response.body === null) return;
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) return;
    for (const line of lines) {
      if (line.startsWith('data:')) yield JSON.parse(line.slice('data:'.length)) as BreakwaterEvent;
    }
  }
}
