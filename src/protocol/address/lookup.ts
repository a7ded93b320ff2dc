/** All addresses of a host, at least one. Rejects, soon, where it does not resolve. */
export type Resolve = (host: string) => Promise<readonly string[]>;

interface Found {
  readonly address: string;
  readonly family: number;
}

type Answer = (error: Error | null, address: string | Found[], family?: number) => void;

/** What `node:net`, and what is built on it, asks in place of `getaddrinfo`. */
export function lookupBy(resolve: Resolve) {
  return (host: string, { all = false }: { readonly all?: boolean | undefined }, answer: Answer): void => {
    resolve(host).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        const [first] = found;
        if (all) answer(null, found);
        else answer(null, first?.address ?? '', first?.family);
      },
      (error) => answer(error, []),
    );
  };
}
