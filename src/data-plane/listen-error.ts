import { BreakwaterError, type ErrorCode } from '../base/errors.ts';

/** A listener that could not be bound: which one, by its index in the routing table. */
export class ListenError extends BreakwaterError {
  readonly listener: number;

  constructor(code: ErrorCode, message: string, listener: number) {
    super(code, message);
    this.listener = listener;
  }
}
