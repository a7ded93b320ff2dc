/**
 * Preloaded, it makes a process one whose libraries lack the functions that `LACKING` names, a regular expression: as where Node.js was
 * built with another OpenSSL.
 */
const koffi = require('koffi');

const lacking = new RegExp(`\\b(${process.env.LACKING})\\b`);
const { load } = koffi;

koffi.load = (...where) => {
  const library = load(...where);
  return {
    func(prototype) {
      if (lacking.test(prototype)) throw new Error('it is not there');
      return library.func(prototype);
    },
  };
};
