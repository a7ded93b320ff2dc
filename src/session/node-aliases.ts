import { uint16 } from '../base/bytes.ts';
import { MALFORMED } from '../protocol/mqtt/varint.ts';
import { Aliases } from './aliases.ts';
import { copyOf } from './encode.ts';
import { qosOf, topicAliasAt, topicEnd, withTopic } from './publish.ts';
import type { State } from './state.ts';

/**
 * Topic aliases that the node on the link that is up gives (rule 10) [MQTT-3.3.2-7]. They matter once a session has
 * moved: a message that named a topic may then be kept from the device, which has it, or wait for it; whatever comes
 * under that alias must not be taken for another topic, or for none. `established` is what the device knows.
 */

/** Can the node use aliases on this link? */
export function followsAliases(s: State): boolean {
  return s.migration !== undefined && s.connect.properties.topicAliasMaximum > 0;
}

/** A PUBLISH with an alias, as the device is to get it. */
interface AliasedPublish {
  readonly number: number;
  /** With its topic where the device does not know the alias; undefined: as it came. */
  readonly packet: Uint8Array | undefined;
}

/** What the alias in a PUBLISH, of which `rest` bytes are to come, means; undefined where there is none that is known. */
export function aliased(
  s: State,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  rest: number,
): AliasedPublish | undefined {
  const aliasAt = aliasIn(bytes, at, bodyAt, end);
  if (aliasAt === 0) return undefined;
  const number = uint16(bytes, aliasAt + 1);
  const topicLength = uint16(bytes, bodyAt);
  const migration = s.needMigration();
  migration.nodeAliases ??= new Aliases();
  if (topicLength > 0) {
    migration.nodeAliases.set(number, copyOf(bytes, bodyAt + 2, bodyAt + 2 + topicLength), false);
    return { number, packet: undefined };
  }
  const alias = migration.nodeAliases.get(number);
  if (alias === undefined) return undefined;
  const packet = alias.established
    ? undefined
    : withTopic(bytes, at, bodyAt, end, alias.topic, aliasAt, true, rest);
  return { number, packet };
}

/** The PUBLISH without an alias, which will mean something else, or nothing, by the time that the device gets it. */
export function withoutAlias(
  s: State,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
): Uint8Array | undefined {
  const aliasAt = aliasIn(bytes, at, bodyAt, end);
  if (aliasAt === 0) return undefined;
  const topic = s.migration?.nodeAliases?.get(uint16(bytes, aliasAt + 1))?.topic;
  return topic && withTopic(bytes, at, bodyAt, end, topic, aliasAt, false);
}

/** The alias; 0 where there is none, or where the packet cannot be understood, which is reported elsewhere. */
function aliasIn(bytes: Uint8Array, at: number, bodyAt: number, end: number): number {
  const idAt = topicEnd(bytes, at, bodyAt, end);
  if (idAt === MALFORMED) return 0;
  return Math.max(0, topicAliasAt(bytes, qosOf(bytes[at] as number) === 0 ? idAt : idAt + 2, end));
}
