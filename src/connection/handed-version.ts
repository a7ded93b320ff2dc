/**
 * Of all formats in which connections go to another process: those in the files that are named `handed`. To be counted up
 * whenever one of them changes; a process that knows another one takes no connection over.
 */
export const HANDED_VERSION = 4;
