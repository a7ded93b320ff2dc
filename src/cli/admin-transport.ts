import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BreakwaterError, messageOf } from '../base/errors.ts';

/** Requests to the admin API, by HTTP or HTTPS. */

/** Files in PEM, for an address with `https`. */
export interface TlsFiles {
  /** The authorities that sign the proxy's certificate; absent: those that Node.js comes with. */
  readonly cacert?: string;
  /** What is shown to a proxy that asks for a certificate, and its key. */
  readonly cert?: string;
  readonly key?: string;
}

interface AdminRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Resolves when the head of the answer is there; rejects as `node:http` does. */
type Transport = (url: URL, request: AdminRequest) => Promise<IncomingMessage>;

/**
 * Files that are not named come from the environment: BREAKWATER_CACERT, BREAKWATER_CERT, BREAKWATER_KEY.
 * @throws BreakwaterError USAGE
 */
export function openTransport(given: TlsFiles, environment = process.env): Transport {
  const { BREAKWATER_CACERT, BREAKWATER_CERT, BREAKWATER_KEY } = environment;
  const read = (option: string, file: string | undefined) =>
    file === undefined || file === '' ? undefined : readPem(option, file);
  const ca = read('--cacert', given.cacert ?? BREAKWATER_CACERT);
  const cert = read('--cert', given.cert ?? BREAKWATER_CERT);
  const key = read('--key', given.key ?? BREAKWATER_KEY);
  if ((cert === undefined) !== (key === undefined))
    throw new BreakwaterError('USAGE', '--cert and --key belong together: give both, or neither');
  const files = { ...(ca && { ca }), ...(cert && { cert, key }) };

  return (url, { body, ...options }) =>
    new Promise((resolve, reject) => {
      const request =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, ...files })
          : httpRequest(url, { ...options });
      request.on('error', reject);
      request.on('response', resolve);
      request.end(body);
    });
}

function readPem(option: string, file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    throw new BreakwaterError('USAGE', `${option}: cannot read the file: ${messageOf(error)}`);
  }
}
