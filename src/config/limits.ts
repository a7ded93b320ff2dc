/** Schema of the configuration's `limits`: bounds on connections, buffers, times and rates. */

import { z } from 'zod';
import { choice, count, network, seconds } from './fields.ts';
import { httpLimitsSchema } from './http.ts';

const MAX_NETWORKS = 10_000;

function networks(about: string) {
  return z
    .array(network())
    .max(MAX_NETWORKS, { error: `must hold at most ${MAX_NETWORKS} networks` })
    .default([])
    .meta({ kind: 'list of IP addresses and CIDR blocks', description: `${about} At most ${MAX_NETWORKS}.` });
}

/** Bounds of the rates of one device, here and in rules. */
export const messageRate = {
  ...{ min: 0, max: 1_000_000, unit: 'messages per second' },
  about:
    'PUBLISH packets of one device in session mode; one second’s worth may come at once. What a faster device sends waits, up to `sessionGap`, and then it is not read; nothing is dropped.',
};
export const byteRate = {
  ...{ min: 0, max: 10_000_000_000, unit: 'bytes per second' },
  about: 'The same for all that one device sends in session mode.',
};

export const limitsSchema = z.strictObject({
  maxConnections: count({
    min: 1,
    max: 1_000_000,
    default: 100_000,
    unit: 'connections',
    about: 'Devices at one time on this proxy; more are closed at once. Raise `ulimit -n` to twice as many.',
  }),
  maxConnectionsPerListener: count({
    min: 0,
    max: 1_000_000,
    default: 0,
    unit: 'connections',
    about: 'Devices at one time on one listener; 0 sets no limit besides `maxConnections`.',
  }),
  maxConnectionsPerSource: count({
    min: 0,
    max: 1_000_000,
    default: 0,
    unit: 'connections',
    about:
      'Devices at one time from one source: an IPv4 address, or the /64 network of an IPv6 address. 0 sets no limit, because many devices may stand behind one NAT.',
  }),
  connectRate: count({
    min: 0,
    max: 1_000_000,
    default: 0,
    unit: 'connections per second',
    about:
      'New connections that one listener takes; one second’s worth may come at once. What is more is reset before its first byte is read. 0 sets no limit.',
  }),
  connectRatePerSource: count({
    min: 0,
    max: 1_000_000,
    default: 0,
    unit: 'connections per second',
    about: 'The same for one source over all listeners. 0 sets no limit.',
  }),
  refusalsTold: count({
    min: 0,
    max: 10_000,
    default: 20,
    unit: 'devices per second',
    about:
      'So many of the devices that these limits and networks refuse are told why in CONNACK (MQTT 5: 0x97, 0x9F, 0x8A, 0x87), on `mqtt` listeners; each may take 2 s for its CONNECT. All others are reset before their first byte is read; in a storm those are nearly all.',
  }),
  allow: networks('Networks that may connect; none given: all.'),
  deny: networks('Networks that may not connect, also where `allow` has them.'),
  messageRate: count({
    ...messageRate,
    default: 0,
    about: `${messageRate.about} 0 sets no limit.`,
  }),
  byteRate: count({ ...byteRate, default: 0, about: `${byteRate.about} 0 sets no limit.` }),
  holdBack: z
    .strictObject({
      after: count({
        min: 0,
        max: 10_000,
        default: 100,
        unit: 'connects',
        about:
          'So many connects of one device (client id and source) in quick succession are placed at once; each further one waits first, longer each time. 0: nobody waits. A bad radio link, or a script that connects for every message, needs some; two devices that share a client id throw each other out for ever.',
      }),
      forget: seconds({
        min: 0.1,
        max: 3600,
        default: 1,
        about: 'One connect is forgotten in so long: who connects less often never waits.',
      }),
      firstDelay: seconds({
        min: 0.1,
        max: 60,
        default: 0.5,
        about: 'The first wait; it doubles with every connect.',
      }),
      maxDelay: seconds({
        min: 0.1,
        max: 60,
        default: 10,
        about: 'The longest wait: devices commonly give up after 20 to 30 seconds.',
      }),
    })
    .prefault({}),
  connectTimeout: seconds({
    min: 1,
    max: 300,
    default: 10,
    about:
      'From accept to a whole CONNECT: slow radio links need seconds, silent sockets are not kept longer.',
  }),
  maxPacketSize: count({
    min: 256,
    max: 268_435_460,
    default: 1_048_576,
    unit: 'bytes',
    about:
      'Largest CONNECT, and the most that is kept of what a device sends before its node answered. In session mode the most that is kept of one packet: a larger message is passed on as it comes, and the broker says what is too large (EMQX: 1 MiB, mosquitto: 256 MiB).',
  }),
  pendingBytes: count({
    min: 65_536,
    max: 68_719_476_736,
    default: 67_108_864,
    unit: 'bytes',
    about:
      'What all devices together may have sent before a node is asked for them; the first 4 KiB of each are not counted, since nearly every CONNECT is shorter. Beyond it the device that has sent most is reset.',
  }),
  highWater: count({
    min: 4096,
    max: 16_777_216,
    default: 65_536,
    unit: 'bytes',
    about:
      'Kept per direction of one connection while its receiver is slow; then the sender is no longer read. Bounds the memory of a stalled device. The `epoll` engine keeps 64 KiB at most, `uring` 128 KiB in all; the `node` engine may keep one read of 64 KiB more.',
  }),
  maxHandshakes: count({
    min: 1,
    max: 100_000,
    default: 1000,
    unit: 'handshakes',
    about:
      'TLS handshakes of devices in progress at one time on one data thread; a device beyond is reset before its first byte is looked at, unless another has taken 3 s: then that one gives way. One source has half of them at the most. Each holds some 50 kB and takes half a millisecond: with more of them all would be late. A reload cannot change it.',
  }),
  gather: z
    .boolean()
    .default(true)
    .describe(
      'Where messages go one way and come more often than 30,000 a second to one data thread, that sleeps until several are there, for some 0.1 ms at most: they cost a quarter less. Nothing waits where the other side answers. `false`: each message goes on at once. The node engine never gathers. A reload cannot change it.',
    ),
  halfCloseTimeout: seconds({
    min: 1,
    max: 3600,
    default: 10,
    about:
      'When one side has ended, the other may still finish for so long, and as long again while it takes, however slowly, what is on its way to it. MQTT has no use for longer.',
  }),
  sessionGap: count({
    min: 1024,
    max: 16_777_216,
    default: 65_536,
    unit: 'bytes',
    about:
      'Session mode: kept of what one device sends while its session moves, or ahead of its pace; then it is not read.',
  }),
  sessionInflight: count({
    min: 1024,
    max: 268_435_456,
    default: 1_048_576,
    unit: 'bytes',
    about:
      'Session mode: unacknowledged packets kept for a resend, each direction of one device; then it is not read.',
  }),
  sessionState: count({
    min: 1024,
    max: 16_777_216,
    default: 262_144,
    unit: 'bytes',
    about:
      'Session mode: memory for subscriptions (80 bytes and the filter, each) and topic aliases (300 and the topic) of one device; one with more cannot be moved.',
  }),
  sessionMemory: count({
    min: 0,
    max: 68_719_476_736,
    default: 67_108_864,
    unit: 'bytes',
    about:
      'Session mode without Redis: memory for what persistent sessions had subscribed, while their devices are connected (some 300 bytes each) and away. Beyond it the one that was not used for longest is forgotten, and its session moves only to a node that has it.',
  }),
  sessionMemoryTime: seconds({
    min: 0,
    max: 2_592_000,
    default: 86_400,
    about:
      'Session mode: the longest that the subscriptions of a persistent session are remembered while its device is away, in this proxy or in Redis; with MQTT 5 never longer than its Session Expiry Interval. 0 remembers none.',
  }),
  history: z
    .strictObject({
      devices: count({
        min: 0,
        max: 10_000_000,
        default: 100_000,
        unit: 'devices',
        about:
          'Whose last connects, moves, refusals and ends are remembered, also after they have left (`breakwater client history`); beyond, the longest untouched is forgotten. 0 remembers none. Above `log.level: info` single devices are told of, and remembered, only while somebody follows the events.',
      }),
      bytes: count({
        min: 65_536,
        max: 68_719_476_736,
        default: 67_108_864,
        unit: 'bytes',
        about:
          'Memory for all of them: some 450 bytes for a device that has connected, 250 for each further entry, 20 of each at most. Those that were only refused have an eighth of it.',
      }),
    })
    .prefault({}),
  http: httpLimitsSchema.prefault({}).describe('For `http` and `https` listeners.'),
  upgradeGrace: seconds({
    min: 0,
    max: 604_800,
    default: 86_400,
    about:
      'After an upgrade, devices that could not go over to the new process stay with the old one, which ends when the last has left. After this time it lets them go as after SIGTERM.',
  }),
  shutdownGrace: seconds({
    min: 0,
    max: 3600,
    default: 30,
    about:
      'After SIGTERM devices are let go one after the other over this time, so that whoever takes them is not stormed. systemd kills after 90 s; Kubernetes after 30 s, so set it lower there.',
  }),
  shutdownListeners: choice(['until-taken-over', 'close'])
    .default('until-taken-over')
    .describe(
      'Listeners after SIGTERM. `until-taken-over`: while no other proxy of the cluster takes devices they stay open for three quarters of the grace, so that the address refuses nobody; who comes then is let go in the last quarter. `close`: they close at once. Set this where a balancer looks only whether the port is open, and other proxies behind it are of no common cluster.',
    ),
});
