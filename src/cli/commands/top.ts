import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { NodeView, PoolView, StatusView } from '../../admin/backend.ts';
import type { IncidentList } from '../../admin/journal-views.ts';
import { messageOf } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { type AdminClient, createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { LiveScreen } from '../output/live-screen.ts';
import { jsonText } from '../output/print.ts';
import { wantsColour } from '../output/table.ts';
import { readMessages, type TopLook, topOrder, topText } from '../output/top-text.ts';
import { watchSignals } from '../signals.ts';
import { type TopAction, TopKeys } from '../top-keys.ts';

/** Between two looks. */
const LOOK_MS = 1_000;

/** `breakwater top`: nodes, rates and incidents, live, with keys that drain and enable. */
export function topCommand(): Command {
  const command = new Command('top')
    .description(
      'show nodes, rates, what is wrong and what happened, live; keys drain and enable nodes. Not at a terminal: as text, once a second',
    )
    .action(top);
  return withExample(withAdminOptions(command), 'top', 'top --json | jq .status.connections');
}

async function top(options: DataOptions): Promise<void> {
  const admin = createAdminClient(options);
  let now = await look(admin); // says what is wrong with the address or the token
  let before: TopLook | undefined;
  if (options.json) return printLooks(admin, now);

  const { asked } = watchSignals();
  const quit = new AbortController();
  const ended = AbortSignal.any([asked, quit.signal]);
  const keys = new TopKeys();
  const screen = new LiveScreen(process.stdout);
  let failure = '';
  const draw = () => {
    const { isTTY, rows = 24, columns = 80 } = process.stdout;
    const size = isTTY ? { rows, columns } : undefined;
    const prompt = printable(failure || (isTTY ? keys.prompt : ''));
    screen.draw(topText(now, before, { size, selected: keys.selected, prompt, colour: wantsColour() }));
  };
  const release = readKeys((key) => {
    const ids = topOrder(now.nodes).map(({ id }) => id);
    const action = keys.press(key, ids);
    draw();
    if (action?.kind === 'quit') quit.abort();
    else if (action !== undefined)
      void act(admin, action).then((text) => {
        keys.said(text);
        if (!ended.aborted) draw();
      });
  });
  process.stdout.on('resize', draw);
  try {
    while (!ended.aborted) {
      draw();
      await sleep(LOOK_MS, undefined, { signal: ended }).catch(() => {});
      if (ended.aborted) break;
      try {
        const next = await look(admin);
        [before, now, failure] = [now, next, ''];
      } catch (error) {
        failure = messageOf(error);
      }
    }
  } finally {
    process.stdout.off('resize', draw);
    release();
    screen.close();
  }
}

async function printLooks(admin: AdminClient, first: TopLook): Promise<void> {
  const { asked } = watchSignals();
  for (let now = first; !asked.aborted; now = await look(admin)) {
    console.log(jsonText(now));
    await sleep(LOOK_MS, undefined, { signal: asked }).catch(() => {});
  }
}

async function look(admin: AdminClient): Promise<TopLook> {
  const [status, nodes, pools, { incidents }, messages] = await Promise.all([
    admin.get<StatusView>('status'),
    admin.get<readonly NodeView[]>('nodes'),
    admin.get<readonly PoolView[]>('pools'),
    admin.get<IncidentList>('incidents?limit=5'),
    admin.metrics().then(readMessages),
  ]);
  return { atMs: Date.now(), status, nodes, pools, incidents, messages };
}

async function act(admin: AdminClient, action: Extract<TopAction, { kind: 'act' }>): Promise<string> {
  const { verb, node } = action;
  const path = `nodes/${encodeURIComponent(node)}`;
  try {
    if (verb === 'drain') await admin.post(`${path}/drain`, {});
    else await admin.patch(path, { state: 'enabled' });
    return `node ${node} is ${verb === 'drain' ? 'draining' : 'enabled'}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Keys one by one, where they come from a terminal. Returns what gives it back. */
function readKeys(press: (key: string) => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY || !process.stdout.isTTY) return () => {};
  const onData = (bytes: Buffer) => press(bytes.toString('utf8'));
  stdin.setRawMode(true);
  stdin.on('data', onData);
  return () => {
    stdin.off('data', onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
