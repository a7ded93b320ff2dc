/** Who is let in, and how far. */

import { createHash, timingSafeEqual, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemClock } from '../base/time.ts';
import type { AdminClient, AdminToken, Role } from '../config/admin.ts';
import { commonName } from '../engine/tls.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';
import type { Api } from './api.ts';
import { leastRole, reaches } from './roles.ts';
import { createTokenGuesses } from './token-guesses.ts';

/** Who asks, as far as the request shows it. */
export interface Caller {
  /** Of a token, or of a certificate. Whoever is on this machine, where there is neither, is `local`. */
  readonly name: string;
  readonly role: Role;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Absent while nobody has been let in. */
    caller?: Caller;
    /** Might whoever asked still ask it? For an answer that goes on: a token may be taken away meanwhile. */
    isStillAllowed?: () => boolean;
  }
}

/** Everybody who may ask from elsewhere. */
export interface Access {
  readonly tokens: readonly AdminToken[];
  readonly clients: readonly AdminClient[];
}

/** Where nobody is named, whoever is on this machine may do everything. */
const LOCAL: Caller = { name: 'local', role: 'admin' };

/** @throws BreakwaterError ADMIN_TOKEN_REQUIRED where the API would be open to other machines. */
export function requireSafeBinding(url: URL, { tokens, clients }: Access): void {
  if (tokens.some(({ token }) => token === '')) {
    throw new BreakwaterError(
      'ADMIN_TOKEN_REQUIRED',
      'admin: the token is empty; set admin.token, or leave it out',
    );
  }
  if (tokens.length > 0 || clients.length > 0 || isLoopback(url.hostname)) return;
  throw new BreakwaterError(
    'ADMIN_TOKEN_REQUIRED',
    `admin: ${url.origin} can be reached from other machines and has no token; set admin.token, or bind it to 127.0.0.1`,
  );
}

/**
 * Lets only those in who hold a token or a certificate, each as far as its role goes; where nobody is named, only this
 * machine's own programs and pages.
 */
export function guard(app: Api, accessNow: () => Access, log: Pick<Log, 'warn'>): void {
  const identify = identifier(log);
  app.addHook('onRequest', async (request, reply) => {
    const { method, routeOptions } = request;
    if (routeOptions.config?.open === true) return;
    const caller = identify(request, reply, accessNow());
    request.caller = caller;
    const least = leastRole(method, routeOptions.url);
    request.isStillAllowed = () => {
      const role = roleNow(request, accessNow());
      return role !== undefined && reaches(role, least);
    };
    if (reaches(caller.role, least)) return;
    const why = `${caller.name} has the role ${caller.role}; this needs the role ${least}`;
    throw new BreakwaterError('FORBIDDEN', why);
  });
}

function identifier(log: Pick<Log, 'warn'>) {
  const guesses = createTokenGuesses(systemClock);
  const bursts = createLogThrottle(systemClock);

  function byToken(authorization: string, ip: string, reply: FastifyReply, { tokens }: Access): Caller {
    const seconds = guesses.heldFor(ip);
    if (seconds > 0) {
      reply.header('retry-after', seconds);
      const why = `too many wrong tokens came from ${ip}; it is heard again in ${seconds} s`;
      throw new BreakwaterError('TOO_MANY_GUESSES', why);
    }
    const holder = holderOf(authorization, tokens);
    if (holder !== undefined) return { name: holder.name, role: holder.role };
    guesses.wrong(ip);
    const more = bursts(ip);
    if (more !== undefined) log.warn({ remoteAddress: ip, more }, 'a wrong token was sent to the admin API');
    throw new BreakwaterError('UNAUTHORIZED', `the token is wrong; ${REMEDY}`);
  }

  return (request: FastifyRequest, reply: FastifyReply, access: Access): Caller => {
    if (isOpen(access)) {
      refuseStrangers(request);
      return LOCAL;
    }
    const { authorization = '' } = request.headers;
    if (authorization !== '') return byToken(authorization, request.ip, reply, access);
    const caller = byCertificate(request.raw.socket, access.clients);
    // A browser shows its certificate for a page of another site too.
    refuseForeignPages(request);
    return caller;
  };
}

function isOpen({ tokens, clients }: Access): boolean {
  return tokens.length === 0 && clients.length === 0;
}

/** Of somebody who was let in before: nothing is counted as a guess, and nobody is told. */
function roleNow({ headers, raw }: FastifyRequest, access: Access): Role | undefined {
  if (isOpen(access)) return LOCAL.role;
  const { authorization = '' } = headers;
  if (authorization !== '') return holderOf(authorization, access.tokens)?.role;
  const x509 = raw.socket instanceof TLSSocket ? raw.socket.getPeerX509Certificate() : undefined;
  return x509 && clientOf(x509, access.clients)?.role;
}

const REMEDY = 'send it as "Authorization: Bearer TOKEN"';

/** @throws BreakwaterError UNAUTHORIZED */
function byCertificate(socket: Socket, clients: readonly AdminClient[]): Caller {
  const x509 = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (!(socket instanceof TLSSocket) || x509 === undefined)
    throw new BreakwaterError('UNAUTHORIZED', `the token is missing; ${REMEDY}`);
  if (!socket.authorized) {
    const why = `the certificate is not good (${socket.authorizationError}), and no token came; ${REMEDY}`;
    throw new BreakwaterError('UNAUTHORIZED', why);
  }
  const client = clientOf(x509, clients);
  if (client !== undefined) return { name: client.cn, role: client.role };
  const why = `the certificate of "${commonName(x509)}" has no role in admin.tls.clients, and no token came; ${REMEDY}`;
  throw new BreakwaterError('UNAUTHORIZED', why);
}

function clientOf(x509: X509Certificate, clients: readonly AdminClient[]): AdminClient | undefined {
  const cn = commonName(x509);
  return clients.find((client) => client.cn === cn);
}

function holderOf(authorization: string, tokens: readonly AdminToken[]): AdminToken | undefined {
  const given = digest(/^Bearer +(.+)$/i.exec(authorization)?.[1] ?? '');
  // Digests have one length whatever was given, and each is compared, whichever it is: the time tells nothing.
  return tokens.filter(({ token }) => timingSafeEqual(given, digest(token)))[0];
}

/**
 * "Loopback only" keeps other machines out, but not the pages of the browser on this one. By DNS rebinding a page
 * of evil.example becomes same-origin with 127.0.0.1: its requests then still name evil.example as their Host.
 * And any page may send a blind POST to 127.0.0.1: its requests name the page as their Origin.
 */
function refuseStrangers(request: FastifyRequest): void {
  const { host } = request.headers;
  const named = hostnameOf(`http://${host ?? ''}`);
  if (named === undefined || !isLoopback(named)) {
    throw new BreakwaterError(
      'FORBIDDEN',
      `without a token the admin API answers to localhost only, not to "${named ?? ''}"; set admin.token to use another name`,
    );
  }
  refuseForeignPages(request);
}

function refuseForeignPages({ headers, protocol }: FastifyRequest): void {
  const { host, origin, 'sec-fetch-site': site } = headers;
  const foreign =
    origin !== undefined ? origin !== `${protocol}://${host}` : site === 'cross-site' || site === 'same-site';
  if (!foreign) return;
  const page = origin ?? 'another site';
  throw new BreakwaterError(
    'FORBIDDEN',
    `a page of ${page} may not use the admin API without a token; set admin.token to let it`,
  );
}

function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
