import { type Ban, isOver, tooManyBans } from '../../policy/admission/bans.ts';
import type { Codec } from './codec.ts';
import { membershipScripts as scripts } from './redis-membership-scripts.ts';
import type { Script } from './redis-script.ts';

/** Bans that give way to a new one at one time; with the next ones the others do. */
const FORGOTTEN_MAX = 1_000;
/** Bans that are written anew at one time: each is news to all proxies, and with the news it goes on. */
const REWRITTEN_MAX = 256;

interface KnownBan {
  /** As Redis has it. */
  readonly record: string;
  readonly ban: Ban;
  /** It is not signed with the present secret. */
  readonly isOutdated: boolean;
}

/**
 * The bans that this proxy knows. There may be many, so that only those records are read and verified that differ from what
 * was there before.
 */
export class SharedBans {
  private readonly codec: Codec;
  private known: ReadonlyMap<string, KnownBan> = new Map();
  bans: ReadonlyMap<string, Ban> = new Map();

  constructor(codec: Codec) {
    this.codec = codec;
  }

  /** What Redis holds, if some of it has changed. */
  read(records: ReadonlyMap<string, string>): void {
    const known = new Map<string, KnownBan>();
    for (const [id, record] of records) {
      const before = this.known.get(id);
      const each = before?.record === record ? before : this.readOne(id, record);
      if (each !== undefined) known.set(id, each);
    }
    this.known = known;
    this.bans = new Map([...known].map(([id, { ban }]) => [id, ban]));
  }

  private readOne(id: string, record: string): KnownBan | undefined {
    const { codec } = this;
    const place = { key: 'bans', field: id };
    const text = record.slice(record.indexOf(' ') + 1);
    const ban = codec.read('ban', text, place);
    if (ban?.id === id) return { record, ban, isOutdated: codec.isOutdated('ban', text, id) };
    if (ban !== undefined) codec.skip(place, 'schema', 'it is of another id');
    return undefined;
  }

  records(): ReadonlyMap<string, string> {
    return new Map([...this.known].map(([id, { record }]) => [id, record]));
  }

  /** Of those that are over. @param nowMs by Redis's clock */
  recordsOver(nowMs: number): Record<string, string> {
    const over = [...this.known].filter(([, { ban }]) => isOver(ban, nowMs)).slice(0, FORGOTTEN_MAX);
    return Object.fromEntries(over.map(([id, { record }]) => [id, record]));
  }

  outdated() {
    const outdated = [...this.known].filter(([, { isOutdated }]) => isOutdated).slice(0, REWRITTEN_MAX);
    return outdated.map(([id, { record, ban }]) => ({ key: 'bans' as const, id, record, value: ban }));
  }
}

interface BanCommandsOptions {
  readonly codec: Codec;
  readonly bans: SharedBans;
  readonly storeNow: () => number;
  readonly write: (script: Script, ...args: (string | number)[]) => Promise<unknown>;
}

export function createBanCommands({ codec, bans, storeNow, write }: BanCommandsOptions) {
  return {
    /** @throws BreakwaterError BAN_LIMIT, STORE_UNAVAILABLE */
    async ban(ban: Ban): Promise<void> {
      const over = JSON.stringify(bans.recordsOver(storeNow()));
      if ((await write(scripts.ban, ban.id, codec.write('ban', ban, ban.id), over)) === 0)
        throw tooManyBans();
    },
    async unban(id: string): Promise<boolean> {
      return (await write(scripts.unban, id)) === 1;
    },
  };
}
