import fc from 'fast-check';
import { endReasons, moveCauses } from '../../../src/connection/connection-host.ts';
import { evidences } from '../../../src/connection/evidence.ts';
import type { HandedMqtt } from '../../../src/connection/handed.ts';
import type { HandedSessionForwarder } from '../../../src/connection/handed-forwarder.ts';
import { HANDED_VERSION } from '../../../src/connection/handed-version.ts';
import type {
  HandedFrames,
  HandedInflightFromDevice,
  HandedMigration,
  HandedState,
} from '../../../src/session/handed.ts';
import { owner, stage, step } from '../../../src/session/stages.ts';
import { bytesOf } from '../session/packet-text.ts';

/** Any value that a session of `SessionScene` could have: every field is what it may be, whatever the others are. */

const copy = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
const packet = (text: string): Uint8Array => copy(bytesOf(text, 5));

const bool = fc.boolean();
const uint16 = fc.nat(0xffff);
const uint32 = fc.nat(0xffff_ffff);
/** Whole, so that sums with a clock are exact. */
const ms = fc.nat(100_000);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 9 }).map(copy);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const name = fc.string({ minLength: 1, maxLength: 5 });

const capabilities = fc.record({
  code: fc.constant(0),
  sessionPresent: bool,
  receiveMaximum: uint16,
  maximumQos: fc.nat(2),
  retainAvailable: bool,
  maximumPacketSize: fc.oneof(uint32, fc.constant(Number.POSITIVE_INFINITY)),
  topicAliasMaximum: uint16,
  wildcardAvailable: bool,
  identifiersAvailable: bool,
  sharedAvailable: bool,
  serverKeepAlive: maybe(uint16),
  sessionExpiryInterval: maybe(uint32),
  assignedClientId: maybe(name),
  serverReference: maybe(name),
});

const aliases = fc.uniqueArray(fc.record({ number: uint16, topic: bytes, established: bool }), {
  ...{ selector: ({ number }) => number, minLength: 1, maxLength: 4 },
});
const subscriptions = fc.uniqueArray(
  fc.record({ filter: bytes, options: fc.nat(0xff), identifier: fc.nat(268_435_455) }),
  { selector: ({ filter }) => filter.join(), minLength: 1, maxLength: 12 },
);

const published = fc.constantFrom(
  ...['PUBLISH q1 #7 t=x', 'PUBLISH q2 #8 dup t=y', 'PUBLISH q1 #9 topicAlias:1 t=z'].map(packet),
);
const requested = fc.constantFrom(
  ...['SUBSCRIBE #3 t:1 u/#:2', 'UNSUBSCRIBE #4 t', 'SUBSCRIBE #5 subscriptionIdentifier:7 t:0'].map(packet),
);
const none = fc.constant(new Uint8Array(0));
const entryAt = <S extends number>(at: S, packets: fc.Arbitrary<Uint8Array>) =>
  fc.record({
    id: uint16,
    stage: fc.constant(at),
    isSuspect: at < stage.received ? bool : fc.constant(false),
    packet: packets,
  });
const entry = fc.oneof(
  ...[entryAt(stage.sent, published), entryAt(stage.waiting, published), entryAt(stage.asked, requested)],
  ...[entryAt(stage.received, none), entryAt(stage.released, none), entryAt(stage.local, none)],
  entryAt(stage.unkept, none),
);

function table(
  of: fc.Arbitrary<HandedInflightFromDevice['entries'][number]>,
): fc.Arbitrary<HandedInflightFromDevice> {
  return fc
    .tuple(fc.array(of, { minLength: 1, maxLength: 12 }), fc.nat())
    .map(([entries, at]) => ({ entries, unsent: (at % (entries.length + 1)) - 1 }));
}

const inflightToDevice = fc.record({
  entries: fc.array(
    fc.record({
      ...{ nodeId: uint16, deviceId: uint16, isQos2: bool, hash: uint32 },
      step: fc.constantFrom(...Object.values(step)),
      owner: fc.constantFrom(...Object.values(owner)),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  lastFreeId: uint16,
});

const ids = fc.array(uint16, { minLength: 1, maxLength: 4 }).map((all) => new Set(all));

const migration: fc.Arbitrary<HandedMigration> = fc.record({
  ...{ asking: bool, doubtful: bool, isOver: bool, mustPurge: bool, cut: bool, isOnTrial: bool },
  ...{ anew: bool, sessionPresent: bool, drops: bool, awaitsRedelivery: bool },
  held: maybe(table(fc.oneof(entryAt(stage.sent, published), entryAt(stage.waiting, published)))),
  retainedForMs: ms,
  room: fc.oneof(fc.integer(), fc.constant(Number.POSITIVE_INFINITY)),
  resent: maybe(ids),
  fresh: maybe(fc.record({ filters: fc.array(bytes, { maxLength: 3 }), isFull: bool })),
  swallowed: maybe(ids),
  nodeAliases: maybe(aliases),
});

const state: fc.Arbitrary<HandedState> = fc.record({
  isDetached: fc.constant(false),
  heldBack: maybe(fc.record({ node: maybe(fc.array(bytes)), device: maybe(fc.array(bytes)) })),
  attachments: fc.integer({ min: 1, max: 9 }),
  ...{ inherited: bool, isBeyondRecall: bool, deviceLeft: bool, overflown: bool, notUnderstood: bool },
  ...{ authenticates: bool, pingsWait: bool, isPaused: bool },
  ...{ pingsOwed: fc.nat(9), pingsSent: fc.nat(9), pingsBehind: fc.nat(9) },
  ...{ pingsOdd: fc.nat(9), pingsSpare: fc.nat(9) },
  ...{ billedMessages: fc.nat(99), billedBytes: fc.nat(9_999) },
  unsubscribed: maybe(subscriptions),
  advertised: capabilities,
  terms: capabilities,
  inflightFromDevice: maybe(table(entry)),
  inflightToDevice: maybe(inflightToDevice),
  subscriptions: maybe(subscriptions),
  aliases: maybe(aliases),
  offlineBuffer: maybe(
    fc.array(fc.oneof(published, requested), { minLength: 1 }).map((all) => copy(Buffer.concat(all))),
  ),
  migration: maybe(migration),
});

/** The first part of a packet; it streams; or nothing is understood any more. */
const frames: fc.Arbitrary<HandedFrames> = fc.record({
  partial: maybe(
    fc.constantFrom(Uint8Array.of(0x30), Uint8Array.of(0x32, 0x90), packet('PINGREQ').slice(0, 1)),
  ),
  askAt: fc.oneof(fc.nat(999), fc.constant(Number.POSITIVE_INFINITY)),
  streaming: fc.constantFrom(-1, 0, 7),
  left: maybe(bytes),
});

const history = fc.array(
  fc.record({
    cause: fc.constantFrom(...moveCauses),
    evidence: maybe(fc.constantFrom(...evidences)),
    ...{ from: name, to: maybe(name), durationMs: ms, agoMs: ms, sessionPresent: bool },
  }),
  { maxLength: 10 },
);

const forwarder: fc.Arbitrary<HandedSessionForwarder> = fc.record({
  kind: fc.constant('session'),
  session: fc.record({
    raw: fc.constantFrom(...['CONNECT id=dev user=u password=p will=gone', 'CONNECT clean'].map(packet)),
    clientId: maybe(bytes),
    chosenId: fc.constant(''),
    deviceFrames: maybe(frames),
    nodeFrames: maybe(frames),
    state,
  }),
  upstream: fc.record({
    at: fc.record({ node: fc.constantFrom('a', 'b'), link: fc.nat(9), attachedAgoMs: ms }),
    move: fc.constant(undefined),
    pool: fc.constant('pool'),
    spoken: bool,
    copies: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }),
    straysMs: fc.array(fc.integer({ min: 1, max: 99_999 }), { maxLength: 8 }),
    history,
  }),
  monitor: fc.record({
    ...{
      deviceSpoke: bool,
      toldNode: bool,
      heard: fc.nat(99),
      quietLooks: fc.nat(9),
      untoldLooks: fc.nat(9),
    },
    ...{ heardAtLook: fc.integer({ min: -1, max: 99 }), heardAtCheck: fc.integer({ min: -1, max: 99 }) },
    ...{
      lookInMs: fc.integer({ min: -99, max: 99_999 }),
      checkEndsInMs: fc.integer({ min: -99, max: 9_999 }),
    },
  }),
  flow: fc.record({
    ...{ holdsDevice: bool, isPaused: bool },
    meter: fc.record({ freeInMs: ms, messagesFullInMs: ms, bytesFullInMs: ms }),
  }),
  deaths: fc.record({ origin: fc.constantFrom('', 'a', 'c'), isSudden: bool }),
  leaving: bool,
  closeMode: fc.constantFrom('reset', 'goodbye', 'flush'),
  purges: bool,
});

/** A metered session, whose scene has rates for messages and bytes. */
export const anySession: fc.Arbitrary<HandedMqtt> = fc.record({
  version: fc.constant(HANDED_VERSION),
  kind: fc.constant('mqtt'),
  reason: maybe(fc.constantFrom(...endReasons)),
  state: fc.record({
    ...{ phase: fc.constant('carried'), pool: fc.constant('pool'), number: uint32, placedAgoMs: ms },
    ...{ acceptedAtMs: ms, who: fc.integer(), forwarder },
    rival: maybe(fc.record({ acceptedAgoMs: ms, isSame: bool })),
  }),
});
