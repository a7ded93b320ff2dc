import { BreakwaterError, type ErrorCode, messageOf } from '../base/errors.ts';
import { printError } from './output/print.ts';

/** What the person typed or wrote was wrong; everything else has failed although it was right. */
const usageCodes: ReadonlySet<ErrorCode> = new Set([
  'USAGE',
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'ADMIN_TOKEN_REQUIRED',
  'REQUEST_INVALID',
  'NODE_INVALID',
]);

/** 1 failed, 2 wrong usage or configuration. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof BreakwaterError && usageCodes.has(error.code) ? 2 : 1;
}

/** Says on standard error what went wrong; the stack only of what nobody foresaw. */
export function reportError(error: unknown): void {
  const foreseen = error instanceof BreakwaterError;
  const text = foreseen || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message);
  printError(`error: ${text}`);
}
