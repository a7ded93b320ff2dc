import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { BreakwaterEvent } from '../../admin/backend.ts';
import type { EventList, PeersTold } from '../../admin/journal-views.ts';
import { printable } from '../../base/printable.ts';
import { createAdminClient } from '../admin-client.ts';
import { readEvents } from '../event-stream.ts';
import { type DataOptions, sinceOption, wholeNumber, withAdminOptions, withExample } from '../options.ts';
import { print, printJson } from '../output/print.ts';
import { watchSignals } from '../signals.ts';

/** `breakwater events`: what has happened, and with `--follow` what happens. */

interface EventOptions extends DataOptions {
  readonly follow?: boolean;
  readonly kind?: string;
  readonly node?: string;
  readonly client?: string;
  readonly since?: string;
  readonly limit: number;
}

/** Between a stream that has ended and the next try. */
const AGAIN_MS = 2_000;
/** Of them ids are remembered: more than happen in the seconds that may be told twice. */
const RECENT_MAX = 20_000;

export function eventsCommand(): Command {
  const command = new Command('events')
    .description('show what has happened at all proxies; with --follow, also what happens')
    .option('-f, --follow', 'go on until Ctrl-C; what happens at other proxies is told a second later')
    .option('--kind <kinds>', 'such as node, move, audit; several with commas between')
    .option('--node <id>', 'what happened to this node, at it, from it or to it')
    .option('--client <id>', 'what happened to this client id')
    .addOption(sinceOption())
    .option('--limit <n>', 'at most so many, 1 to 1000', wholeNumber(1, 1000), 100)
    .action(async (options: EventOptions) => (options.follow ? follow(options) : list(options)));
  return withExample(
    withAdminOptions(command),
    'events --since 10m --kind node,move',
    'events --follow --client meter-17',
  );
}

function queryOf({ kind, node, client, since, limit }: EventOptions): URLSearchParams {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries({ kind, node, client, since }))
    if (value !== undefined) query.set(name, value);
  return query;
}

async function list(options: EventOptions): Promise<void> {
  const found = await createAdminClient(options).get<EventList>(`events?${queryOf(options)}`);
  if (options.json) return printJson(found);
  for (const { id: _, ...event } of found.events) print(lineOf(event));
  if (found.events.length === 0) print('no events');
  tellMissing(found.missing);
}

export function tellMissing(missing: readonly string[]): void {
  missingText(missing).forEach(print);
}

/** A line, or none. */
export function missingText(missing: readonly string[]): string[] {
  if (missing.length === 0) return [];
  return [printable(`… and those of proxies that did not answer: ${missing.join(', ')}`)];
}

/** A stream that ends, because the proxy stops or is restarted, is taken up behind the last event. */
async function follow(options: EventOptions): Promise<void> {
  const { asked } = watchSignals();
  const query = queryOf(options);
  const admin = createAdminClient(options);
  await admin.get<EventList>(`events?${query}`); // says what is wrong with the question
  const seen = new RecentIds();
  const tellPeers = (told: PeersTold): void => {
    if (options.json) print(JSON.stringify({ peers: told }));
    else peersText(told).forEach(print);
  };
  while (!asked.aborted) {
    try {
      for await (const { id, event } of readEvents(admin, asked, String(query), tellPeers)) {
        query.set('since', id);
        if (seen.has(id)) continue;
        print(options.json ? JSON.stringify({ id, ...event }) : lineOf(event));
      }
    } catch {
      // It is tried again below.
    }
    await sleep(AGAIN_MS, undefined, { signal: asked }).catch(() => {});
  }
}

function peersText({ missing, cut }: PeersTold): string[] {
  if (cut.length > 0)
    return [printable(`… some are left out: more has happened than is kept at ${cut.join(', ')}`)];
  return missing.length > 0 ? missingText(missing) : ['… all proxies answer again'];
}

/** A stream that is taken up may tell some events once more. */
class RecentIds {
  private readonly ids = new Set<string>();

  /** Whether this one was told before; it is from now on. */
  has(id: string): boolean {
    if (this.ids.has(id)) return true;
    this.ids.add(id);
    const [oldest = ''] = this.ids;
    if (this.ids.size > RECENT_MAX) this.ids.delete(oldest);
    return false;
  }
}

/** `2026-11-29T03:12:07.123Z  reattached  clientId=meter-17 from=emqx-2 to=emqx-1` */
function lineOf({ at, type, ...rest }: BreakwaterEvent | EventList['events'][number]): string {
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${/\s/.test(String(value)) ? JSON.stringify(value) : value}`);
  return `${at}  ${String(type).padEnd(12)}  ${fields.join(' ')}`;
}
