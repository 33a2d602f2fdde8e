/** The kernel's verdict on a request: NLMSG_ERROR and NLMSG_DONE with extended acknowledgement (linux/netlink.h). */
import { SystemError } from "./errno.ts";
import {
  Attributes,
  type NetlinkMessage,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_ERROR,
  NLMSG_HEADER,
} from "./netlink-message.ts";

const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;
const NLMSGERR_ATTR_MISS_TYPE = 5;
const NLMSGERR_ATTR_MAX = 6;

/** Undefined: it worked. The error's text has what the kernel said about it, and where in the request it points. */
export function parseAcknowledgement(message: NetlinkMessage): SystemError | undefined {
  const { body } = message;
  if (body.length < 4)
    return message.type === NLMSG_ERROR ? new SystemError(71, "the kernel's answer is too short") : undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const number = -view.getInt32(0, true);
  if (number <= 0) return undefined;
  return new SystemError(number, detail(message, view));
}

function detail(message: NetlinkMessage, view: DataView): string | undefined {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return undefined;
  const offset = attributesOffset(message, view);
  if (offset > message.body.length) return undefined;
  const attributes = new Attributes(NLMSGERR_ATTR_MAX).read(message.body, offset);
  const text = attributes.string(NLMSGERR_ATTR_MSG);
  const at = attributes.u32(NLMSGERR_ATTR_OFFS);
  const missing = attributes.u32(NLMSGERR_ATTR_MISS_TYPE);
  const parts = [
    ...(text === undefined ? [] : [text]),
    ...(missing === undefined ? [] : [`attribute ${missing} is missing`]),
    ...(at === undefined ? [] : [`at byte ${at} of the message`]),
  ];
  return parts.length === 0 ? undefined : parts.join(" ");
}

/** The request itself, or only its header, stands between the number and the attributes. */
function attributesOffset(message: NetlinkMessage, view: DataView): number {
  if (message.type !== NLMSG_ERROR) return 4;
  if ((message.flags & NLM_F_CAPPED) !== 0 || view.byteLength < 8) return 4 + NLMSG_HEADER;
  return 4 + ((view.getUint32(4, true) + 3) & ~3);
}
