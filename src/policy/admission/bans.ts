import { createHash } from 'node:crypto';
import { BreakwaterError } from '../../base/errors.ts';
import { newIpWords, parseIp } from '../../protocol/address/ip.ts';
import { type Network, networkText, parseNetwork } from '../../protocol/address/networks.ts';

/** Who may not connect, as people decide it at run time: by client id, username, certificate or address. */

/** What a device is known by; `source` is an address or a CIDR network. */
export const banKinds = ['clientId', 'username', 'clientCn', 'source'] as const;
export type BanKind = (typeof banKinds)[number];
const nameKinds = ['clientId', 'username', 'clientCn'] as const;

/** Of one cluster, those included that are over and not yet forgotten. */
export const BANS_MAX = 10_000;
/** Characters of what a device is known by. A longer client id is banned in the form in which lists show it. */
export const BAN_VALUE_MAX = 256;
/** Characters. */
export const BAN_REASON_MAX = 256;
/** Ten years. */
export const BAN_SECONDS_MAX = 315_360_000;

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
  return createHash('sha256')
    .update(`${kind}\0${criterionOf(kind, value)}`)
    .digest('hex')
    .slice(0, 12);
}

function criterionOf(kind: BanKind, value: string): string {
  return kind === 'source' ? networkText(parseNetwork(value)) : value;
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
  /** As lists show it: a long one is cut. */
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  /** Read only where some ban asks for it. */
  readonly clientCn?: string | undefined;
  readonly sourceAddress?: string | undefined;
}

/** The bans that one thread goes by. A look takes a step for each name, and one for each length of prefix that sources have. */
export class Bans {
  private readonly byId = new Map<string, Ban>();
  /** By kind and `criterionOf`. */
  private readonly of: Readonly<Record<BanKind, Map<string, Ban>>> = {
    ...{ clientId: new Map(), username: new Map(), clientCn: new Map(), source: new Map() },
  };
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
    this.of[ban.kind].set(criterionOf(ban.kind, ban.value), ban);
    if (ban.kind === 'source') this.count(parseNetwork(ban.value), 1);
  }

  private remove(id: string): void {
    const ban = this.byId.get(id);
    if (ban === undefined) return;
    this.byId.delete(id);
    this.of[ban.kind].delete(criterionOf(ban.kind, ban.value));
    if (ban.kind === 'source') this.count(parseNetwork(ban.value), -1);
  }

  /**
   * A ban that holds for this device.
   * @param nowMs since 1970
   */
  find(subject: BanSubject, nowMs: number): Ban | undefined {
    return this.first(subject, (ban) => !isOver(ban, nowMs));
  }

  /** One of those that end connections too. */
  findKick(subject: BanSubject, nowMs: number): Ban | undefined {
    return this.first(subject, (ban) => ban.kick && !isOver(ban, nowMs));
  }

  private first(subject: BanSubject, holds: (ban: Ban) => boolean): Ban | undefined {
    for (const kind of nameKinds) {
      const bans = this.of[kind];
      const ban = bans.size === 0 ? undefined : bans.get(subject[kind] ?? '');
      if (ban !== undefined && holds(ban)) return ban;
    }
    return this.of.source.size === 0 ? undefined : this.firstBySource(subject, holds);
  }

  private firstBySource({ sourceAddress = '' }: BanSubject, holds: (ban: Ban) => boolean): Ban | undefined {
    const { words } = this;
    const family = parseIp(sourceAddress, words);
    if (family === 0) return undefined;
    for (const bits of this.lengths[family].keys()) {
      const ban = this.of.source.get(networkText({ family, words, bits }));
      if (ban !== undefined && holds(ban)) return ban;
    }
    return undefined;
  }

  private count({ family, bits }: Network, change: 1 | -1): void {
    const lengths = this.lengths[family];
    const count = (lengths.get(bits) ?? 0) + change;
    if (count === 0) lengths.delete(bits);
    else lengths.set(bits, count);
  }
}
