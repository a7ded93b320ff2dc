import { withoutSecrets } from './address.ts';

/** A configuration that may be shown. */

const SECRET_KEY = /token|secret|password/i;
/** In the query of a URL. */
const SECRET_PARAMETER = /([?&][^=&]*password=)[^&]*/gi;
const HIDDEN = '***';

/** The same with `***` in place of secrets: values of keys that are named so, and credentials in URLs. */
export function hideSecrets(value: unknown, key = ''): unknown {
  if (typeof value === 'string')
    return SECRET_KEY.test(key) ? HIDDEN : withoutSecrets(value).replace(SECRET_PARAMETER, `$1${HIDDEN}`);
  if (Array.isArray(value)) return value.map((one) => hideSecrets(one, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, hideSecrets(inner, name)]));
}
