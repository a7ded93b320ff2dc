/** What people want of single devices. */

/** Which connections are meant: all of a client id, or the one of a number; of that proxy, or of any. */
export type Whom =
  | { readonly clientId: string }
  | { readonly connection: number; readonly proxy?: string | undefined };

/** What a person wants of devices, which hear of it wherever they are: they end, or move to that node. */
export type Unstamped =
  | { readonly type: 'kick'; readonly whom: Whom }
  | { readonly type: 'move'; readonly whom: Whom; readonly to: string };

/** It is for those that the broker had accepted by `untilMs`, by the clock that all threads share. */
export type DeviceOrder = Unstamped & { readonly untilMs: number };
