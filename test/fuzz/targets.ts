import { BreakwaterError } from '../../src/base/errors.ts';
import { parseConfig } from '../../src/config/load.ts';
import { FrameReader } from '../../src/connection/websocket/frame-reader.ts';
import { endOfHead, isNoRequest, readHead } from '../../src/connection/websocket/request.ts';
import { checkUpgrade } from '../../src/connection/websocket/upgrade.ts';
import { parseCookies, splitSetCookie } from '../../src/protocol/http/cookies.ts';
import { peekConnack } from '../../src/protocol/mqtt/connack.ts';
import { decodeConnect } from '../../src/protocol/mqtt/connect.ts';
import { decodeProxyHeader } from '../../src/protocol/proxy-protocol/decode.ts';
import { readClientHello } from '../../src/protocol/tls-hello/client-hello.ts';
import { Session } from '../../src/session/index.ts';
import { options } from '../unit/session/transcript.ts';

/** Code that reads bytes of strangers. A target throws where that code does what it never may. */
export interface Target {
  readonly name: string;
  /** Inputs that are good, or nearly; mutations begin with them. */
  readonly seeds: readonly Uint8Array[];
  run(bytes: Uint8Array): void;
}

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
const text = (said: string): Uint8Array => Buffer.from(said, 'latin1');

const connect311 = hex('10 19 0004 4d515454 04 c2 003c 0001 64 0004 75736572 0004 70617373');
const connect5 = hex('10 1b 0004 4d515454 05 c2 003c 05 11 0000000a 0001 64 0002 7575 0002 7070');
const MAX_PACKET = 4096;

/** A session whose CONNECT a node has accepted, told the same bytes by one side, at once and then byte by byte. */
function toldBy(side: 'fromDevice' | 'fromNode', connect: Uint8Array, connack: Uint8Array) {
  return (bytes: Uint8Array): void => {
    for (const pieces of [1, bytes.length]) {
      const result = decodeConnect(connect, 0, connect.length, MAX_PACKET);
      if (result.kind !== 'connect') throw new Error('the CONNECT of the target is none');
      const output = { isDeviceBehind: () => false, toNode() {}, toDevice() {}, event() {} };
      const session = new Session(result.connect, connect, options, output);
      session.connectPacket();
      session.fromNode(connack, 0, connack.length);
      const copy = Uint8Array.from(bytes);
      for (let at = 0; at < copy.length; at += Math.ceil(copy.length / pieces))
        session[side](copy, at, Math.min(copy.length, at + Math.ceil(copy.length / pieces)));
      session.detached();
      session.connectPacket();
      session.fromNode(connack, 0, connack.length);
      session.wipe();
    }
  };
}

const packets = {
  subscribe: '82 09 0001 0004 612f2b62 01',
  subscribe5: '82 0a 0001 00 0004 612f2b62 2d',
  publish: '32 08 0001 61 0007 686869',
  publish5: '32 0c 0001 61 0007 03 23 0001 686869',
  qos2: '34 05 0001 61 0008',
  acknowledgements: '40 02 0007 50 02 0008 62 02 0008 70 02 0008',
  ping: 'c0 00 d0 00',
  suback: '90 03 0001 01',
  disconnect5: 'e0 02 8b 00',
};
const dialogue = Object.values(packets).map(hex);

export const targets: readonly Target[] = [
  {
    name: 'connect',
    seeds: [connect311, connect5, hex('10 0e 0006 4d5149736470 03 02 003c 0000')],
    run(bytes) {
      const result = decodeConnect(bytes, 0, bytes.length, MAX_PACKET);
      if (result.kind === 'connect' && result.end > bytes.length)
        throw new Error('the end is behind the end');
    },
  },
  {
    name: 'connack',
    seeds: [hex('20 02 00 00'), hex('20 08 00 00 05 11 0000000a'), hex('20 02 00 05')],
    run: (bytes) => void peekConnack(bytes, 0, bytes.length),
  },
  { name: 'session-device', seeds: dialogue, run: toldBy('fromDevice', connect311, hex('20020000')) },
  {
    name: 'session-device-5',
    seeds: dialogue,
    run: toldBy('fromDevice', connect5, hex('2006000003 220005')),
  },
  { name: 'session-node', seeds: dialogue, run: toldBy('fromNode', connect311, hex('20020000')) },
  { name: 'session-node-5', seeds: dialogue, run: toldBy('fromNode', connect5, hex('2006000003 220005')) },
  {
    name: 'proxy-header',
    seeds: [
      text('PROXY TCP4 192.0.2.1 192.0.2.2 40000 1883\r\n'),
      text('PROXY UNKNOWN\r\n'),
      hex('0d0a0d0a000d0a515549540a 21 11 000f c0000201 c0000202 9c40 075b 03 0000'),
    ],
    run: (bytes) => void decodeProxyHeader(bytes, 0, bytes.length),
  },
  {
    name: 'client-hello',
    seeds: [
      hex(
        `16 0301 003b 01 000037 0303 ${'00'.repeat(32)} 00 0002 1301 01 00 000c 0000 0008 0006 00 0003 612e62`,
      ),
    ],
    run: (bytes) => void readClientHello(bytes, 0, bytes.length),
  },
  {
    name: 'websocket-request',
    seeds: [
      text(
        'GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
      ),
    ],
    run(bytes) {
      const buffer = Buffer.from(bytes);
      isNoRequest(buffer, buffer.length);
      const end = endOfHead(buffer, buffer.length, 0);
      const head = end < 0 ? undefined : readHead(buffer, end);
      if (head === undefined) return;
      const result = checkUpgrade(head, { path: '/mqtt' });
      const said = result.kind === 'upgrade' ? result.response({ headers: [] }) : result.response;
      if (!/^HTTP\/1\.1 \d{3} [A-Z]/.test(said)) throw new Error('the answer is no answer');
    },
  },
  {
    name: 'websocket-frames',
    seeds: [
      hex('82 84 01020304 11223344'),
      hex('89 80 01020304 88 82 01020304 02ea'),
      hex('02 fe 0004 00000000 aabbccdd'),
    ],
    run(bytes) {
      const reader = new FrameReader();
      const copy = Uint8Array.from(bytes);
      for (let at = 0; at < copy.length && reader.fault === 0; ) {
        const next = reader.read(copy, at, copy.length);
        if (next <= at) throw new Error('the reader does not come forward');
        at = next;
      }
    },
  },
  {
    name: 'cookies',
    seeds: [text('a=1; b="2"; c'), text('id=x; Path=/; HttpOnly; SameSite=Lax')],
    run(bytes) {
      const header = Buffer.from(bytes).toString('latin1');
      parseCookies(header);
      splitSetCookie(header);
    },
  },
  {
    name: 'configuration',
    seeds: [
      text(
        'listeners: [{ url: "mqtt://0.0.0.0:1883" }]\npools: { default: { nodes: [{ url: "mqtt://10.0.0.1" }] } }\n',
      ),
      text('a: &x [1]\nb: *x\n? {c: d}\n: "\\u0000"\n'),
      text('rules:\n  - { when: { clientId: "^(a+)+$", source: 10.0.0.0/8 }, reject: banned }\n'),
    ],
    run(bytes) {
      try {
        parseConfig(Buffer.from(bytes).toString('utf8'), 'fuzz.yaml');
      } catch (error) {
        if (!(error instanceof BreakwaterError)) throw error;
        if (/\[object Object\]/.test(error.message))
          throw new Error('an error says nothing', { cause: error });
      }
    },
  },
];
