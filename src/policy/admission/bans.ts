import { createHash } from 'node:crypto';
import { BreakwaterError } from '../../base/errors.ts';
import { newIpWords, parseIp } from '../../protocol/address/ip.ts';
import { type Network, networkText, parseNetwork } from '../../protocol/address/networks.ts';

/** Who may not connect, as people decide it at run time: by client id, username, certificate or address. */

/** What a device is known by; `source` is an address or a CIDR network. */
export const banKinds = ['clientId', 'username', 'clientCn', 'source'] as const;
export type BanKind = (typeof banKinds)[number];

/** Of one cluster, those included that are over and not yet forgotten. */
export const BANS_MAX = 10_000;
/** Characters of what a device is known by. Longer client ids are legal, and can be banned by the other kinds. */
export const BAN_VALUE_MAX = 1_024;
/** Characters. */
export const BAN_REASON_MAX = 256;

export interface Ban {
  /** `banId` of its kind and value. */
  readonly id: string;
  readonly kind: BanKind;
  readonly value: string;
  readonly reason?: string | undefined;
  /** RFC 3339, as `expiresAt`. */
  readonly createdAt: string;
  /** Absent: until it is taken back. */
  readonly expiresAt?: string | undefined;
  /** Devices that are connected are ended too, by each proxy as it learns of the ban. */
  readonly kick: boolean;
}

/**
 * The same for the same criterion, whichever address of a network it is written by; 12 hexadecimal digits.
 * @throws Error for a source that is no network
 */
export function banId(kind: BanKind, value: string): string {
  const criterion = kind === 'source' ? networkText(parseNetwork(value)) : value;
  return createHash('sha256').update(`${kind}\0${criterion}`).digest('hex').slice(0, 12);
}

export function tooManyBans(): BreakwaterError {
  const message = `the cluster has ${BANS_MAX} bans; remove some, or ban a network in place of its addresses`;
  return new BreakwaterError('BAN_LIMIT', message);
}

/** @param nowMs since 1970 */
export function isOver({ expiresAt }: Ban, nowMs: number): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= nowMs;
}

/** What has changed of the bans. */
export interface BanChange {
  /** New ones, and those that replace one of the same id. */
  readonly made: readonly Ban[];
  /** Ids. */
  readonly ended: readonly string[];
}

/** Undefined where nothing has changed: a ban that is the same value is the same ban. */
export function banChange(
  before: ReadonlyMap<string, Ban>,
  after: ReadonlyMap<string, Ban>,
): BanChange | undefined {
  if (before === after) return undefined;
  const made = [...after.values()].filter((ban) => before.get(ban.id) !== ban);
  const ended = [...before.keys()].filter((id) => !after.has(id));
  return made.length + ended.length === 0 ? undefined : { made, ended };
}

/** What is known of a device; of an opaque protocol that is its address. */
export interface BanSubject {
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  /** Read only where some ban asks for it. */
  readonly clientCn?: string | undefined;
  readonly sourceAddress?: string | undefined;
}

/** The bans that one thread goes by. A look takes a step for each name, and one for each length of prefix that sources have. */
export class Bans {
  private readonly byId = new Map<string, Ban>();
  private readonly named = { clientId: new Map(), username: new Map(), clientCn: new Map() } satisfies Record<
    string,
    Map<string, Ban>
  >;
  /** By `networkText`. */
  private readonly sources = new Map<string, Ban>();
  /** How many of the sources have this length of prefix. */
  private readonly lengths = { 4: new Map<number, number>(), 6: new Map<number, number>() };
  private readonly words = newIpWords();

  constructor(bans: Iterable<Ban>) {
    for (const ban of bans) this.add(ban);
  }

  get size(): number {
    return this.byId.size;
  }

  /** @returns of the new bans those that end connections too */
  change({ made, ended }: BanChange): Bans {
    for (const id of ended) this.remove(id);
    for (const ban of made) this.add(ban);
    return new Bans(made.filter(({ kick }) => kick));
  }

  /** In the place of one of the same id. */
  private add(ban: Ban): void {
    this.remove(ban.id);
    this.byId.set(ban.id, ban);
    if (ban.kind !== 'source') return void this.named[ban.kind].set(ban.value, ban);
    const network = parseNetwork(ban.value);
    this.sources.set(networkText(network), ban);
    this.count(network, 1);
  }

  private remove(id: string): void {
    const ban = this.byId.get(id);
    if (ban === undefined) return;
    this.byId.delete(id);
    if (ban.kind !== 'source') return void this.named[ban.kind].delete(ban.value);
    const network = parseNetwork(ban.value);
    this.sources.delete(networkText(network));
    this.count(network, -1);
  }

  /**
   * A ban that holds for this device.
   * @param nowMs since 1970
   */
  find(subject: BanSubject, nowMs: number): Ban | undefined {
    for (const ban of this.matching(subject)) if (!isOver(ban, nowMs)) return ban;
    return undefined;
  }

  private *matching(subject: BanSubject): Iterable<Ban> {
    for (const kind of ['clientId', 'username', 'clientCn'] as const) {
      const bans: ReadonlyMap<string, Ban> = this.named[kind];
      const ban = bans.size === 0 ? undefined : bans.get(subject[kind] ?? '');
      if (ban !== undefined) yield ban;
    }
    const { sourceAddress = '' } = subject;
    const family = this.sources.size === 0 ? 0 : parseIp(sourceAddress, this.words);
    if (family === 0) return;
    for (const bits of this.lengths[family].keys()) {
      const ban = this.sources.get(networkText({ family, words: this.words, bits }));
      if (ban !== undefined) yield ban;
    }
  }

  private count({ family, bits }: Network, change: 1 | -1): void {
    const lengths = this.lengths[family];
    const count = (lengths.get(bits) ?? 0) + change;
    if (count === 0) lengths.delete(bits);
    else lengths.set(bits, count);
  }
}
