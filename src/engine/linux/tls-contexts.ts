import {
  chooseGroup,
  cipherSettings,
  GROUPS,
  groupCertificates,
  ownsRecords,
  sessionScope,
  type TlsCertificate,
  type TlsOptions,
} from '../tls.ts';
import type { Libc } from './libc.ts';
import type { Callback } from './native-library.ts';
import type { OpenSsl } from './openssl.ts';
import * as o from './openssl.ts';
import { addCertificate, addCrls, applySettings, eachCertificate, must, pinned } from './tls-material.ts';
import type { SecretsTaker } from './tls-secrets.ts';
import { createTicketKeys, type TicketKeys } from './tls-tickets.ts';

/** The TLS settings of listeners, as OpenSSL wants them: certificates by name, client certificates, tickets, ALPN. */

/** The settings of a listener's handshakes (SSL_CTX), one for each certificate that a name may choose. */
interface ContextSet {
  /** The first serves devices that name no server. */
  readonly contexts: readonly number[];
  choose(serverName: string): number;
  readonly hasOwnRecords: boolean;
}

/** The TLS settings of one thread's listeners. */
export class TlsContexts {
  private readonly libc: Libc;
  private readonly ssl: OpenSsl;
  private readonly secrets: SecretsTaker;
  /** By the index of the listener. */
  private readonly sets = new Map<number, ContextSet>();
  /** Those before: a device whose handshake has begun with them may be about to name its server. */
  private readonly former = new Map<number, ContextSet>();
  /** By the first context of the set. */
  private readonly setOf = new Map<number, ContextSet>();
  private readonly chooseByName: Callback;
  private readonly tolerateExpired: Callback;
  private readonly tickets: TicketKeys;
  private readonly protocols: Protocols;

  constructor(libc: Libc, ssl: OpenSsl, secrets: SecretsTaker) {
    this.libc = libc;
    this.ssl = ssl;
    this.secrets = secrets;
    this.chooseByName = ssl.serverNameCallback((session) => this.nameGiven(session));
    this.tolerateExpired = ssl.verifyCallback((error) => error === o.X509_V_ERR_CRL_HAS_EXPIRED);
    this.tickets = createTicketKeys(libc, ssl, (session) => secrets.ticket(session));
    this.protocols = createProtocols(libc, ssl);
  }

  /** The SSL_CTX that a listener's handshakes begin with; 0 for a plain listener. */
  of(listenerIndex: number): number {
    return this.sets.get(listenerIndex)?.contexts[0] ?? 0;
  }

  /** Whether records behind the handshakes of a listener are our own. */
  hasOwnRecords(listenerIndex: number): boolean {
    return this.sets.get(listenerIndex)?.hasOwnRecords === true;
  }

  private nameGiven(session: number): number {
    const { ssl } = this;
    const name = ssl.serverName(session);
    const set = this.setOf.get(ssl.contextOf(session));
    if (name !== null && set !== undefined) ssl.setContext(session, set.choose(name));
    return o.SSL_TLSEXT_ERR_OK;
  }

  /** @throws BreakwaterError TLS_INVALID; then the listener's former settings stay */
  set(listenerIndex: number, tls: TlsOptions): void {
    const built = this.buildSet(tls, sessionScope(listenerIndex, tls));
    const [first = 0] = built.contexts;
    if (built.contexts.length > 1) this.ssl.setServerNameCallback(first, this.chooseByName.address);
    this.setOf.set(first, built);
    const before = this.sets.get(listenerIndex);
    this.free(this.former.get(listenerIndex));
    this.sets.set(listenerIndex, built);
    if (before !== undefined) this.former.set(listenerIndex, before);
  }

  private buildSet(tls: TlsOptions, scope: string): ContextSet {
    const groups = groupCertificates(tls);
    const contexts: number[] = [];
    try {
      for (const group of groups) contexts.push(this.build(group.certificates, tls, scope));
    } catch (error) {
      for (const context of contexts) this.release(context);
      throw error;
    }
    return {
      contexts,
      choose: (name) => contexts[chooseGroup(groups, name)] as number,
      hasOwnRecords: ownsRecords(tls),
    };
  }

  private build(certificates: readonly TlsCertificate[], tls: TlsOptions, scope: string): number {
    const { libc, ssl } = this;
    const context = ssl.newContext();
    try {
      applyOptions(libc, ssl, context, tls, scope);
      if (ownsRecords(tls)) this.secrets.watch(context);
      this.tickets.use(context, tls.ticketKeys);
      for (const certificate of certificates) addCertificate(libc, ssl, context, certificate);
      if (tls.clientAuth !== 'none') this.demandCertificate(context, tls);
      // Nothing is trusted, so there is nothing to make a chain of, which OpenSSL would try at each handshake.
      else ssl.contextControl(context, o.SSL_CTRL_MODE, o.SSL_MODE_NO_AUTO_CHAIN, 0);
      if (tls.alpn.length > 0) this.protocols.offer(context, tls.alpn);
      return context;
    } catch (error) {
      this.release(context);
      throw error;
    } finally {
      ssl.clearErrors();
    }
  }

  private demandCertificate(context: number, { clientCa = '', clientAuth, crl }: TlsOptions): void {
    const { libc, ssl } = this;
    const store = ssl.certificateStore(context);
    eachCertificate(libc, ssl, clientCa, (certificate) => {
      must(ssl, ssl.trust(store, certificate), 'a certificate of clientCa is refused');
      must(ssl, ssl.nameAuthority(context, certificate), 'a certificate of clientCa is refused');
    });
    if (crl !== undefined) addCrls(libc, ssl, context, crl.pem);
    const mode =
      clientAuth === 'require' ? o.SSL_VERIFY_PEER + o.SSL_VERIFY_FAIL_IF_NO_PEER_CERT : o.SSL_VERIFY_PEER;
    ssl.setVerify(context, mode, crl?.expired === 'tolerate' ? this.tolerateExpired.address : 0);
  }

  /** Sessions hold on to their own; the rest is freed. */
  drop(listenerIndex: number): void {
    for (const each of [this.former, this.sets]) {
      this.free(each.get(listenerIndex));
      each.delete(listenerIndex);
    }
  }

  private free(old: ContextSet | undefined): void {
    if (old === undefined) return;
    this.setOf.delete(old.contexts[0] as number);
    for (const context of old.contexts) this.release(context);
  }

  /** Sessions of it hold on to it; they get no tickets any more. */
  private release(context: number): void {
    this.tickets.forget(context);
    this.secrets.forget(context);
    this.ssl.freeContext(context);
  }

  close(): void {
    for (const listenerIndex of [...this.sets.keys()]) this.drop(listenerIndex);
    this.chooseByName.free();
    this.tolerateExpired.free();
    this.tickets.close();
    this.protocols.close();
  }
}

/** Everything but certificates. */
function applyOptions(libc: Libc, ssl: OpenSsl, context: number, tls: TlsOptions, scope: string): void {
  applySettings(ssl, context, cipherSettings(tls), ownsRecords(tls));
  const groups = pinned(libc, Buffer.from(`${GROUPS}\0`));
  must(
    ssl,
    ssl.contextControl(context, o.SSL_CTRL_SET_GROUPS_LIST, 0, groups.address),
    'the groups are refused',
  );
  ssl.setTickets(context, 1); // a device has one connection to resume
  ssl.setSessionScope(context, scope, scope.length);
}

/** What listeners speak (ALPN). */
interface Protocols {
  offer(context: number, names: readonly string[]): void;
  close(): void;
}

/**
 * Takes the first of a listener's protocols that a device offers. One that offers others only is refused (RFC 7301,
 * 3.2): what it is about to say is none of ours, and a protocol may not be confused with another (the ALPACA attack).
 */
function createProtocols(libc: Libc, ssl: OpenSsl): Protocols {
  /** Each once; its place is what a context hands to the callback. */
  const lists: (readonly string[])[] = [];
  const offered = libc.pin(65_536);
  const answer = libc.pin(9);
  const callback = ssl.alpnCallback((out, outLength, offeredAddress, length, which) => {
    if (length > offered.bytes.length) return o.SSL_TLSEXT_ERR_ALERT_FATAL;
    ssl.copy(offered.address, offeredAddress, length);
    for (const name of lists[which] ?? []) {
      const at = placeOf(name, offered.bytes.subarray(0, length));
      if (at < 0) continue;
      // `out` points into what the device offered, which lasts as long as the handshake.
      answer.bytes.writeBigUInt64LE(BigInt(offeredAddress + at), 0);
      answer.bytes.writeUInt8(name.length, 8);
      ssl.copy(out, answer.address, 8);
      ssl.copy(outLength, answer.address + 8, 1);
      return o.SSL_TLSEXT_ERR_OK;
    }
    return o.SSL_TLSEXT_ERR_ALERT_FATAL;
  });
  function offer(context: number, names: readonly string[]): void {
    let which = lists.findIndex((list) => list.join() === names.join());
    if (which < 0) which = lists.push(names) - 1;
    ssl.setAlpnCallback(context, callback.address, which);
  }
  return { offer, close: () => callback.free() };
}

/** Where a name begins in a list of names, each behind its length (RFC 7301, 3.1); -1 where it is not in it. */
function placeOf(name: string, list: Buffer): number {
  for (let at = 0; at < list.length; at += 1 + (list[at] as number)) {
    const end = at + 1 + (list[at] as number);
    if (end <= list.length && list.toString('latin1', at + 1, end) === name) return at + 1;
  }
  return -1;
}
