import { BlockList, isIP } from "node:net";

/**
 * Which addresses a customer's URL may lead to: those that are reachable for everybody, so that nobody reads
 * our own network through us.
 */
export type AddressGuard = {
  /** False for anything that is no IP address. */
  allows(address: string): boolean;
};

type Range = readonly [network: string, prefix: number];

/** Not reachable for everybody, by the registries of special-purpose addresses (RFC 6890 and its followers). */
const SPECIAL_4: readonly Range[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
/** Inside 2000::/3: what carries other addresses in it, or is for documents. Everything outside is refused. */
const SPECIAL_6: readonly Range[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["2620:4f:8000::", 48],
  ["3fff::", 20],
];

const special = blockList(SPECIAL_4, SPECIAL_6);
const globalUnicast = blockList([], [["2000::", 3]]);

/**
 * `open`: addresses and CIDR ranges that are allowed all the same, such as `127.0.0.0/8` for development.
 * @throws TypeError when one of them is neither
 */
export function addressGuard(open: readonly string[] = []): AddressGuard {
  const opened = new BlockList();
  for (const text of open) {
    const [network = "", prefix, ...more] = text.split("/");
    const version = isIP(network);
    const most = version === 6 ? 128 : 32;
    const bits = prefix === undefined ? most : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (version === 0 || bits < 0 || bits > most || more.length > 0) {
      throw new TypeError(`${text} is no address and no CIDR range`);
    }
    opened.addSubnet(network, bits, version === 6 ? "ipv6" : "ipv4");
  }
  return {
    allows: (address) => {
      const version = isIP(address);
      if (version === 0) return false;
      const family = version === 6 ? "ipv6" : "ipv4";
      // A zone (fe80::1%eth0) only exists for addresses of a link.
      const plain = address.split("%")[0] ?? "";
      if (opened.check(plain, family)) return true;
      if (special.check(plain, family)) return false;
      return version === 4 || globalUnicast.check(plain, family);
    },
  };
}

function blockList(ranges4: readonly Range[], ranges6: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges4) list.addSubnet(network, prefix, "ipv4");
  for (const [network, prefix] of ranges6) list.addSubnet(network, prefix, "ipv6");
  return list;
}
