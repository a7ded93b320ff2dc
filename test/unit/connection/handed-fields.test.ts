import { expect, test } from 'vitest';
import { GrowableBuffer } from '../../../src/base/growable-buffer.ts';
import { Deaths } from '../../../src/connection/deaths.ts';
import { FlowControl } from '../../../src/connection/flow-control.ts';
import { Greeting } from '../../../src/connection/greeting.ts';
import { HungNode } from '../../../src/connection/hung-node.ts';
import { KeepAliveMonitor } from '../../../src/connection/keep-alive-monitor.ts';
import { LaterTurns } from '../../../src/connection/later-turns.ts';
import { Meter } from '../../../src/connection/meter.ts';
import { Move, Moves } from '../../../src/connection/migration.ts';
import { Parting } from '../../../src/connection/parting.ts';
import { TokenBucket } from '../../../src/policy/admission/token-bucket.ts';
import { Aliases } from '../../../src/session/aliases.ts';
import { Frames } from '../../../src/session/frames.ts';
import { FreshFilters } from '../../../src/session/fresh-filters.ts';
import { InflightFromDevice } from '../../../src/session/inflight-from-device.ts';
import { InflightToDevice } from '../../../src/session/inflight-to-device.ts';
import { MigrationState } from '../../../src/session/migration-state.ts';
import { Rare } from '../../../src/session/rare.ts';
import { Subscriptions } from '../../../src/session/subscriptions.ts';
import { Scene } from './scene.ts';
import { served } from './session-scene.ts';

const of = (owner: object, field: string): object => Reflect.get(owner, field) as object;

const relayed = new Scene().served().connection;
const opaque = new Scene({ opaque: 'tcp' }).opens().connection;
const { connection } = served();
const forwarder = of(connection, 'forwarder');
const upstream = of(forwarder, 'upstream');
const session = of(forwarder, 'session');
const monitorOf = new KeepAliveMonitor({ session: { deviceKeepAlive: 0, nodeKeepAlive: 0 } } as never, 0);
const rates = { messageRate: 1, byteRate: 1 };

interface Fate {
  /** Goes to another process, as a value or in one. */
  readonly goes: string;
  /** Is made of what goes, or begins anew: it is as it was in whatever can go. */
  readonly begins?: string;
  /** Is what the other process has in its place. */
  readonly isGiven?: string;
}

/**
 * What becomes of each field of each class that goes to another process. One that is new belongs into `describe`, `revive`, its
 * format, whose version is counted up (`HANDED_VERSION`), and into this list; or it says here why not.
 */
const classes: readonly (readonly [object, Fate])[] = [
  [
    connection,
    {
      goes: 'connect route placedAtMs number acceptedAtMs who rival phase reason greeting forwarder',
      begins: 'setIndex',
      isGiven: 'wire host peer',
    },
  ],
  [new Greeting(), { goes: 'held connectAtMs deviceFin isHolding', begins: 'connect connectEnd' }],
  [
    of(relayed, 'forwarder'),
    {
      goes: 'node assignedClientId link halfClosed',
      begins: 'search isCounted',
      isGiven: 'connection',
    },
  ],
  [
    opaque,
    {
      goes: 'route placedAtMs number held permit link reason halfClosed',
      begins: 'setIndex attempts isClosing connect session clientId who',
      isGiven: 'wire host peer',
    },
  ],
  [
    forwarder,
    {
      goes: 'session upstream monitor flow deaths parting',
      begins: 'events',
      isGiven: 'connection route',
    },
  ],
  [
    upstream,
    {
      goes: 'at move moves spoken copies hung route',
      begins: 'attempts lost purge',
      isGiven: 'connection connect owner',
    },
  ],
  [
    of(upstream, 'at'),
    { goes: 'link permit attachedAtMs', begins: 'oldLink oldPermit saidGoodbye isOver', isGiven: 'owner' },
  ],
  [
    new Parting(),
    { goes: 'leaving closeMode purges', begins: 'linkEnd farewellWaits finished isFarewell nodeFinished' },
  ],
  [new Move({} as never), { goes: 'start rounds adriftSinceMs' }],
  [new Moves({} as never, 0), { goes: 'history', isGiven: 'connection patienceMs' }],
  [new HungNode({} as never), { goes: 'strayUntilMs', begins: 'silence doubt dueAtMs', isGiven: 'host' }],
  [
    monitorOf,
    {
      goes: 'deviceSpoke toldNode heard quietLooks untoldLooks lookAtMs heardAtLook heardAtCheck checkEndsAtMs',
      isGiven: 'owner',
    },
  ],
  [
    new FlowControl({} as never, {} as never, rates, {} as never),
    { goes: 'holdsDevice meter isPaused', begins: 'heldLink later', isGiven: 'session connection' },
  ],
  [new Meter(rates), { goes: 'messages bytes freeAtMs', isGiven: 'step' }],
  [new TokenBucket(1, 1), { goes: 'fullAtMs', isGiven: 'msPerToken burstMs' }],
  [
    new Deaths({} as never, {} as never),
    { goes: 'origin isSudden', begins: 'trial', isGiven: 'connection owner' },
  ],
  [
    new LaterTurns({} as never, {} as never),
    { goes: '', begins: 'isNodeAsked deviceAskedFor', isGiven: 'wire owner' },
  ],
  [session, { goes: 'handle clientId state deviceFrames nodeFrames', begins: 'wiped' }],
  [
    of(session, 'state'),
    {
      goes: 'phase linkDead rare attachments inherited deviceLeft advertised terms pingsOwed pingsSent pingsBehind pingsWait inflightFromDevice inflightToDevice subscriptions aliases offlineBuffer migration isPaused billedMessages billedBytes',
      begins: 'budget answered isWithheld place',
      isGiven: 'connect options output',
    },
  ],
  [
    new Rare(),
    {
      goes: 'heldBack unsubscribed isBeyondRecall overflown notUnderstood authenticates pingsOdd pingsSpare',
      begins: 'expiryAtEnd',
    },
  ],
  [
    new MigrationState(),
    {
      goes: 'asking doubtful isOver mustPurge cut held isOnTrial anew sessionPresent retainedUntilMs room resent fresh swallowed drops nodeAliases awaitsRedelivery',
      begins: 'replays quiesces passesAcknowledgements',
    },
  ],
  [
    new InflightFromDevice(),
    {
      goes: 'words log unsent suspectCount',
      begins:
        'used freed entries tail packets index isIndexed waitingFrom sent exchangedCount waitingCount unkeptCount localCount',
    },
  ],
  [
    new InflightToDevice(),
    {
      goes: 'words lastFreeId',
      begins: 'used freed entries unfinished foreign suspended nodeIndex deviceIndex isIndexed',
    },
  ],
  [new Aliases(), { goes: 'byNumber', begins: 'bytes' }],
  [new Subscriptions(), { goes: 'packed map', begins: 'filterBytes count' }],
  [new FreshFilters(), { goes: 'filters isFull' }],
  [new Frames(), { goes: 'partial askAt streaming left', begins: 'size' }],
  [new GrowableBuffer(), { goes: 'bytes start end' }],
];

test.each(
  classes.map(([instance, fate]) => [instance.constructor.name, instance, fate] as const),
)('no field of %s is forgotten between two processes', (_, instance, { goes, begins = '', isGiven = '' }) => {
  const known = `${goes} ${begins} ${isGiven}`.split(' ').filter((name) => name !== '');
  expect(Object.keys(instance).sort()).toEqual(known.sort());
});
