/** Who is let in, and how far. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemClock } from '../base/time.ts';
import type { AdminToken, Role } from '../config/admin.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';
import type { Api } from './api.ts';
import { leastRole, reaches } from './roles.ts';
import { createTokenGuesses } from './token-guesses.ts';

/** Who asks, as far as the request shows it. */
export interface Caller {
  /** Of a token. Whoever is on this machine, where there is no token, is `local`. */
  readonly name: string;
  readonly role: Role;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Absent while nobody has been let in. */
    caller?: Caller;
  }
}

/** Where there are no tokens, whoever is on this machine may do everything. */
const LOCAL: Caller = { name: 'local', role: 'admin' };

/** @throws BreakwaterError ADMIN_TOKEN_REQUIRED where the API would be open to other machines. */
export function requireSafeBinding(url: URL, tokens: readonly AdminToken[]): void {
  if (tokens.some(({ token }) => token === '')) {
    throw new BreakwaterError(
      'ADMIN_TOKEN_REQUIRED',
      'admin: the token is empty; set admin.token, or leave it out',
    );
  }
  if (tokens.length > 0 || isLoopback(url.hostname)) return;
  throw new BreakwaterError(
    'ADMIN_TOKEN_REQUIRED',
    `admin: ${url.origin} can be reached from other machines and has no token; set admin.token, or bind it to 127.0.0.1`,
  );
}

/**
 * Lets only those in who hold a token, each as far as its role goes; without tokens, only this machine's own programs and
 * pages.
 */
export function guard(app: Api, tokensNow: () => readonly AdminToken[], log: Pick<Log, 'warn'>): void {
  const identify = identifier(log);
  app.addHook('onRequest', async (request, reply) => {
    const { method, headers, routeOptions } = request;
    if (routeOptions.config?.open === true) return;
    const tokens = tokensNow();
    if (tokens.length === 0) refuseStrangers(headers);
    const caller = tokens.length === 0 ? LOCAL : identify(request, reply, tokens);
    request.caller = caller;
    const least = leastRole(method, routeOptions.url);
    if (reaches(caller.role, least)) return;
    const why = `${caller.name} has the role ${caller.role}; this needs the role ${least}`;
    throw new BreakwaterError('FORBIDDEN', why);
  });
}

function identifier(log: Pick<Log, 'warn'>) {
  const guesses = createTokenGuesses(systemClock);
  const bursts = createLogThrottle(systemClock);

  return ({ headers, ip }: FastifyRequest, reply: FastifyReply, tokens: readonly AdminToken[]): Caller => {
    const { authorization = '' } = headers;
    const remedy = 'send it as "Authorization: Bearer TOKEN"';
    if (authorization === '') throw new BreakwaterError('UNAUTHORIZED', `the token is missing; ${remedy}`);
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
    throw new BreakwaterError('UNAUTHORIZED', `the token is wrong; ${remedy}`);
  };
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
function refuseStrangers({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): void {
  const named = hostnameOf(`http://${host ?? ''}`);
  if (named === undefined || !isLoopback(named)) {
    throw new BreakwaterError(
      'FORBIDDEN',
      `without a token the admin API answers to localhost only, not to "${named ?? ''}"; set admin.token to use another name`,
    );
  }
  const foreign =
    origin !== undefined ? origin !== `http://${host}` : site === 'cross-site' || site === 'same-site';
  if (foreign) {
    const page = origin ?? 'another site';
    throw new BreakwaterError(
      'FORBIDDEN',
      `a page of ${page} may not use the admin API; set admin.token to let it`,
    );
  }
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
