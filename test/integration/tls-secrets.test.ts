import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, expect, it } from 'vitest';
import { HandshakeInput } from '../../src/engine/linux/handshake-input.ts';
import { AF_INET, loadLibc, SOCK_NONBLOCK, SOCK_STREAM } from '../../src/engine/linux/libc.ts';
import { loadOpenSsl } from '../../src/engine/linux/openssl.ts';
import { SecretPlaces } from '../../src/engine/linux/secret-places.ts';
import { TlsContexts } from '../../src/engine/linux/tls-contexts.ts';
import { TlsFacts } from '../../src/engine/linux/tls-facts.ts';
import { SecretsTaker } from '../../src/engine/linux/tls-secrets.ts';
import { READ, RecordState, STATE_BYTES, WRITE } from '../../src/protocol/tls-record/state.ts';
import { createAuthority, tlsOptions } from '../support/certificates.ts';
import { hmac } from '../support/tls-records.ts';
import { until } from '../support/wait.ts';

/** The secrets of handshakes with a client of Node, which tells its own. */

const libc = loadLibc();
const ssl = loadOpenSsl();
const state = new RecordState().use(libc.pin(STATE_BYTES), 0);
const places = new SecretPlaces(libc);
const taker = new SecretsTaker(libc, ssl, hmac, () => state, places);
const contexts = new TlsContexts(libc, ssl, taker);
contexts.set(0, tlsOptions([createAuthority('root').issue({ cn: 'one.test' })], { alpn: [] }));
const input = new HandshakeInput(libc);
const facts = new TlsFacts(libc, ssl, () => true);
const address = libc.pin(16);
const length = libc.pin(4);
const listener = libc.socket(AF_INET, SOCK_STREAM, 0);
address.bytes.writeUInt16LE(AF_INET, 0);
address.bytes.writeUInt32BE(0x7f00_0001, 4);
libc.bind(listener, address.address, 16);
libc.listen(listener, 8);
length.bytes.writeUInt32LE(16);
libc.getsockname(listener, address.address, length.address);

afterAll(() => {
  contexts.close();
  taker.close();
  libc.close(listener);
});

/** Shakes hands, and returns both secrets of the client's traffic: what the client says, and what was taken. */
async function shakeHands(ciphers: string): Promise<{ said: string; taken: string }[]> {
  const said = new Map<string, string>();
  const port = address.bytes.readUInt16BE(2);
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ciphers });
  client.on('keylog', (line) => {
    const [label = '', , secret = ''] = String(line).trim().split(' ');
    said.set(label, secret);
  });
  client.on('error', () => undefined);
  await once(client, 'connect');
  const fd = libc.accept4(listener, 0, 0, SOCK_NONBLOCK);
  const session = ssl.open(contexts.of(0));
  const handshake = taker.begin(fd, false, input.begin(session, fd));
  await until(() => {
    input.receive(handshake.input, fd);
    return taker.step(handshake, session, ssl.accept) === 1;
  }, 'the handshake');
  expect(taker.establish(session, handshake, facts.suiteOf(session))).toBe(true);
  const size = ciphers.endsWith('384') ? 48 : 32;
  const taken = (direction: typeof READ | typeof WRITE) =>
    Buffer.from(state.secret(direction, size)).toString('hex');
  ssl.free(session);
  client.destroy();
  libc.close(fd);
  return [
    { said: said.get('CLIENT_TRAFFIC_SECRET_0') ?? '', taken: taken(READ) },
    { said: said.get('SERVER_TRAFFIC_SECRET_0') ?? '', taken: taken(WRITE) },
  ];
}

it('are those of the client, from the key log at first, and then from where they lie, of any suite', async () => {
  for (let round = 0; round < 3; round++) {
    expect(places.areKnown).toBe(false);
    for (const { said, taken } of await shakeHands('TLS_AES_256_GCM_SHA384')) expect(taken).toBe(said);
  }
  expect(places.areKnown).toBe(true);
  for (const suite of ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'])
    for (const { said, taken } of await shakeHands(suite)) expect(taken).toBe(said);
});
