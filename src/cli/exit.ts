import { BreakwaterError, messageOf } from '../base/errors.ts';
import { printError } from './output/print.ts';

/** 1 failed, 2 wrong usage or configuration. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof BreakwaterError ? error.exit : 1;
}

/** Writes on standard error what went wrong; with the stack only for an error that is not expected. */
export function reportError(error: unknown): void {
  const foreseen = error instanceof BreakwaterError;
  const text = foreseen || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message);
  printError(`error: ${text}`);
}
