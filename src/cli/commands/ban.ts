/** The commands that ban devices and networks, over the admin API. */

import { Command } from 'commander';
import type { BanCriterion, BanRequest, BanView } from '../../admin/backend.ts';
import { BreakwaterError } from '../../base/errors.ts';
import { BAN_SECONDS_MAX } from '../../policy/admission/bans.ts';
import { createAdminClient } from '../admin-client.ts';
import {
  type DataOptions,
  type WatchOptions,
  wholeNumber,
  withAdminOptions,
  withExample,
  withWatchOption,
} from '../options.ts';
import { jsonText, report, tableText } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { show } from '../output/watch.ts';

const columns: readonly Column<BanView>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'BANNED', value: wordsOf, cut: true },
  { title: 'UNTIL', value: ({ expiresAt }) => expiresAt ?? 'removed' },
  { title: 'SINCE', value: ({ createdAt }) => createdAt },
  { title: 'REASON', value: ({ reason }) => reason ?? '', cut: true },
];

/** `breakwater ban …`: devices and networks that are refused at their CONNECT. */
export function banCommand(): Command {
  const family = new Command('ban').description(
    'refuse devices and networks at every proxy, and let them in again',
  );
  for (const command of [add(), list(), remove()]) family.addCommand(command);
  return withExample(family, 'ban add --client-id meter-17', 'ban list');
}

function add(): Command {
  const command = new Command('add')
    .description('refuse a device or a network from now on; who is connected stays, but with --kick')
    .option('--client-id <id>', 'the device with this client id')
    .option('--username <name>', 'devices with this username')
    .option('--client-cn <name>', 'devices whose certificate has this common name')
    .option('--source <network>', 'whoever connects from this address or network, such as 198.51.100.0/24')
    .option('--expires <seconds>', 'it ends by itself; without it, it holds until `ban remove`', seconds)
    .option('--reason <text>', 'for those who read the list; devices are not told')
    .option('--kick', 'also disconnect those that match')
    .action(async (options: DataOptions & BanRequest) => {
      const { clientId, username, clientCn, source, expires, reason, kick } = options;
      const criterion = { clientId, username, clientCn, source };
      requireOne(criterion);
      const request: BanRequest = { ...criterion, expires, reason, kick };
      const ban = await createAdminClient(options).post<BanView>('bans', request);
      const until = ban.expiresAt === undefined ? `\`ban remove ${ban.id}\`` : ban.expiresAt;
      report(options, ban, `${wordsOf(ban)} is banned until ${until}`);
    });
  return withExample(
    withAdminOptions(command),
    'ban add --client-id meter-17 --kick --reason "sends garbage"',
    'ban add --source 198.51.100.0/24 --expires 3600',
  );
}

const seconds = wholeNumber(1, BAN_SECONDS_MAX);

/** @throws BreakwaterError USAGE */
function requireOne(criterion: BanCriterion): void {
  if (Object.values(criterion).filter((value) => value !== undefined).length === 1) return;
  throw new BreakwaterError('USAGE', 'give one of --client-id, --username, --client-cn and --source');
}

function list(): Command {
  const command = new Command('list')
    .description('list the bans, newest first')
    .action(async ({ watch, json, ...options }: WatchOptions) => {
      const admin = createAdminClient(options);
      await show(watch, async () => {
        const bans = await admin.get<readonly BanView[]>('bans');
        return json ? jsonText(bans) : tableText(columns, bans, 'no bans');
      });
    });
  return withExample(withAdminOptions(withWatchOption(command)), 'ban list', 'ban list --json');
}

function remove(): Command {
  const command = new Command('remove')
    .description('remove a ban; whom it was about may connect again')
    .argument('<id>', 'ban id')
    .action(async (id: string, options: DataOptions) => {
      await createAdminClient(options).delete(`bans/${encodeURIComponent(id)}`);
      report(options, { id, removed: true }, `ban ${id} removed`);
    });
  return withExample(withAdminOptions(command), 'ban remove 6f1c0a52');
}

/** Whom a ban is about, in words. */
function wordsOf({ clientId, username, clientCn, source }: BanCriterion): string {
  if (clientId !== undefined) return `client id ${clientId}`;
  if (username !== undefined) return `username ${username}`;
  return clientCn === undefined ? `source ${source}` : `client CN ${clientCn}`;
}
