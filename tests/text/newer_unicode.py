"""Writes pipeline/text/newer_unicode.cpp: what the tokenizers library's regular expressions know of Unicode beyond PCRE2.

    python tests/text/newer_unicode.py [libpcre2-8.so.0] > pipeline/text/newer_unicode.cpp

Run it when either knows a newer Unicode. Both are asked about every code point.
"""
import ctypes
import functools
import sys

from tokenizers import Regex, pre_tokenizers

CATEGORIES = "L M N P S Z Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
# Scripts of Unicode 16 by the names that both libraries take.
SCRIPTS = """Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo
Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic
Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic
Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul
Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian
Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin
Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi
Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar
Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian
Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage
Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada
Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa
Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari
Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square""".split()
OTHERS = {"Alphabetic": "\\p{Alphabetic}", "Lowercase": "\\p{Lowercase}", "Uppercase": "\\p{Uppercase}",
          "White_Space": "\\p{White_Space}", "Emoji": "\\p{Emoji}", "Extended_Pictographic": "\\p{Extended_Pictographic}",
          "Ideographic": "\\p{Ideographic}", "Diacritic": "\\p{Diacritic}", "ASCII": "\\x{0}-\\x{7F}",
          "XDigit": "0-9A-Fa-f"}
POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
BLOCK = 4096


@functools.cache
def members(pattern):
    """Code points that a pattern of the tokenizers library matches; None for one that it does not know."""
    try:
        split = pre_tokenizers.Split(Regex(f"{pattern}+"), "removed")
    except Exception:
        return None
    found = set()
    for at in range(0, len(POINTS), BLOCK):
        block = POINTS[at:at + BLOCK]
        kept = set()
        for _, (begin, end) in split.pre_tokenize_str("".join(map(chr, block))):
            kept.update(range(begin, end))
        found.update(point for i, point in enumerate(block) if i not in kept)
    return found


class Pcre2:
    def __init__(self, name):
        self.library = ctypes.CDLL(name)
        for function in ("pcre2_compile_8", "pcre2_match_data_create_8", "pcre2_get_ovector_pointer_8"):
            getattr(self.library, function).restype = ctypes.c_void_p
        self.text = "".join(map(chr, POINTS)).encode()

    def members(self, members_of_set):
        """Code points in that set; the empty set for one that it does not know."""
        pattern, error, at = f"[{members_of_set}]+".encode(), ctypes.c_int(), ctypes.c_size_t()
        utf, ucp = 0x00080000, 0x00020000
        code = self.library.pcre2_compile_8(pattern, ctypes.c_size_t(len(pattern)), utf | ucp, ctypes.byref(error),
                                            ctypes.byref(at), None)
        if not code:
            return set()
        code = ctypes.c_void_p(code)
        data = ctypes.c_void_p(self.library.pcre2_match_data_create_8(1, None))
        ends = ctypes.cast(self.library.pcre2_get_ovector_pointer_8(data), ctypes.POINTER(ctypes.c_size_t))
        found, start = set(), 0
        while self.library.pcre2_match_8(code, self.text, ctypes.c_size_t(len(self.text)), ctypes.c_size_t(start), 0x40000000,
                                         data, None) > 0:
            found.update(map(ord, self.text[ends[0]:ends[1]].decode()))
            start = ends[1]
        return found


def ranges(points):
    made = []
    for point in sorted(points):
        # surrogates never occur: a range may go over them
        if made and (made[-1][1] == point - 1 or (made[-1][1] == 0xD7FF and point == 0xE000)):
            made[-1][1] = point
        else:
            made.append([point, point])
    return "".join(f"\\\\x{{{a:X}}}" if a == b else f"\\\\x{{{a:X}}}-\\\\x{{{b:X}}}" for a, b in made)


def lines(name, base, text, width=104):
    """One entry of the table, its ranges over several lines of C++."""
    parts = [""]
    for part in text.replace("-", "- ").replace("}\\\\x", "} \\\\x").split(" "):
        if len(parts[-1] + part) > width and not parts[-1].endswith("-"):
            parts.append("")
        parts[-1] += part
    quoted = base.replace("\\", "\\\\")
    start = f'    {{"{name}", "{quoted}",'
    between = "\n     " if text else " "
    return start + between + "\n     ".join(f'"{part}"' for part in parts) + "},\n"


def entries(pcre2):
    properties = [(name, f"\\p{{{name}}}") for name in CATEGORIES]
    properties += [(name, f"\\p{{sc:{name}}}") for name in SCRIPTS] + list(OTHERS.items())
    for name, base in properties:
        theirs, ours = members(f"\\p{{{name}}}"), pcre2.members(base)
        if theirs is None:
            print(f"{name}: unknown to the tokenizers library", file=sys.stderr)
            continue
        if not ours:
            base = ""
        if ours - theirs:  # some moved elsewhere: the whole property, from the library
            base, ours = "", set()
        yield name, base, theirs - ours


def main():
    pcre2 = Pcre2(sys.argv[1] if len(sys.argv) > 1 else "libpcre2-8.so.0")
    print('''// Written by tests/text/newer_unicode.py.
#include "pipeline/text/newer_unicode.hpp"

namespace cmc::text {

const std::vector<UnicodeProperty>& unicode_properties() {
  static const std::vector<UnicodeProperty> properties = {
      // clang-format off''')
    for name, base, newer in entries(pcre2):
        print(lines(name, base, ranges(newer)), end="")
    print('''      // clang-format on
  };
  return properties;
}

}  // namespace cmc::text''')


if __name__ == "__main__":
    main()
