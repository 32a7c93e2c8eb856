#include "pipeline/checkpoint/pickle_reader.hpp"

#include <algorithm>

#include "pipeline/checkpoint/pickle_bytes.hpp"
#include "pipeline/checkpoint/pickle_stack.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

namespace {

using Kind = PickleKind;

// The instructions, by their bytes: https://docs.python.org/3/library/pickletools.html
class PickleMachine {
 public:
  PickleMachine(std::string_view bytes, const std::string& where)
      : input_(bytes, where), stack_(input_), where_(where) {}

  Pickle run() {
    for (uint8_t code = input_.u8(); code != '.'; code = input_.u8()) {
      if (!take_constant(code) && !take_number(code) && !take_text(code) && !take_container(code) &&
          !take_items(code) && !take_memo(code) && !take_call(code)) {
        fail_on(code);
      }
    }
    return stack_.finish();
  }

 private:
  bool take_constant(uint8_t code) {
    switch (code) {
      case 0x80:
        if (input_.u8() > 5) input_.fail("has a protocol after 5");
        return true;
      case 0x95:  // a frame: says only how much to read ahead
        return input_.u64(), true;
      case '(':
        return stack_.mark(), true;
      case '0':
        return stack_.pop_or_unmark(), true;
      case '1':
        return stack_.pop_to_mark(), true;
      case '2':
        return stack_.push(stack_.top()), true;
      case 'N':
        return stack_.push(PickleValue{}), true;
      case 0x88:
      case 0x89:
        return push_number(Kind::boolean, code == 0x88), true;
      default:
        return false;
    }
  }

  bool take_number(uint8_t code) {
    switch (code) {
      case 'J':
        return push_number(Kind::integer, static_cast<int32_t>(input_.u32())), true;
      case 'K':
        return push_number(Kind::integer, input_.u8()), true;
      case 'M':
        return push_number(Kind::integer, input_.u16()), true;
      case 'G':  // a tensor needs no fractions: their values are left
        return input_.take(8), push_number(Kind::real, 0), true;
      case 'F':
        return input_.line(), push_number(Kind::real, 0), true;
      case 'I':
      case 'L':
        return take_decimal(input_.line()), true;
      case 0x8a:
        return take_long(input_.take(input_.u8())), true;
      case 0x8b:
        return take_long(input_.take(input_.u32())), true;
      default:
        return false;
    }
  }
  void push_number(Kind kind, int64_t number) { stack_.push(PickleValue{.kind = kind, .number = number}); }
  void take_decimal(std::string_view line) {
    if (line == "00" || line == "01") return push_number(Kind::boolean, line == "01");
    push_number(Kind::integer, input_.decimal(line));
  }
  void take_long(std::string_view digits) {
    if (digits.size() > 8) return push_text(Kind::bytes, digits);
    const bool negative = !digits.empty() && (static_cast<uint8_t>(digits.back()) & 0x80) != 0;
    uint64_t number = negative ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i > 0; --i) number = number << 8 | static_cast<uint8_t>(digits[i - 1]);
    push_number(Kind::integer, static_cast<int64_t>(number));
  }

  bool take_text(uint8_t code) {
    switch (code) {
      case 'X':
      case 'T':
        return push_text(Kind::text, input_.take(input_.u32())), true;
      case 'U':
      case 0x8c:
        return push_text(Kind::text, input_.take(input_.u8())), true;
      case 0x8d:
        return push_text(Kind::text, input_.take(input_.u64())), true;
      case 'S':
        return push_text(Kind::text, input_.quoted(input_.line())), true;
      case 'V':
        return push_text(Kind::text, decoded(input_.line())), true;
      case 'B':
        return push_text(Kind::bytes, input_.take(input_.u32())), true;
      case 'C':
        return push_text(Kind::bytes, input_.take(input_.u8())), true;
      case 0x8e:
      case 0x96:
        return push_text(Kind::bytes, input_.take(input_.u64())), true;
      default:
        return false;
    }
  }
  void push_text(Kind kind, std::string_view text) { stack_.push(PickleValue{.kind = kind, .text = text}); }
  std::string_view decoded(std::string_view line) {
    const bool plain = std::all_of(line.begin(), line.end(), [](char c) { return c != '\\' && (c & 0x80) == 0; });
    return plain ? line : stack_.keep(input_.raw_unicode(line));
  }

  bool take_container(uint8_t code) {
    switch (code) {
      case ']':
      case 0x8f:
        return push_items(Kind::list, {}), true;
      case ')':
        return push_items(Kind::tuple, {}), true;
      case '}':
        return push_items(Kind::dict, {}), true;
      case 'l':
      case 0x91:
        return push_items(Kind::list, stack_.pop_to_mark()), true;
      case 't':
        return push_items(Kind::tuple, stack_.pop_to_mark()), true;
      case 0x85:
      case 0x86:
      case 0x87:
        return push_items(Kind::tuple, stack_.pop_some(code - size_t{0x84})), true;
      case 'd': {
        const std::vector<PickleId> items = stack_.pop_to_mark();
        return push_items(Kind::dict, {}), stack_.extend(Kind::dict, items), true;
      }
      default:
        return false;
    }
  }
  void push_items(Kind kind, std::vector<PickleId> items) {
    stack_.push(PickleValue{.kind = kind, .items = std::move(items)});
  }

  bool take_items(uint8_t code) {
    switch (code) {
      case 'a':
        return stack_.extend(Kind::list, stack_.pop_some(1)), true;
      case 'e':
      case 0x90:
        return stack_.extend(Kind::list, stack_.pop_to_mark()), true;
      case 's':
        return stack_.extend(Kind::dict, stack_.pop_some(2)), true;
      case 'u':
        return stack_.extend(Kind::dict, stack_.pop_to_mark()), true;
      default:
        return false;
    }
  }

  bool take_memo(uint8_t code) {
    switch (code) {
      case 'q':
        return stack_.remember(input_.u8()), true;
      case 'r':
        return stack_.remember(input_.u32()), true;
      case 'p':
        return stack_.remember(static_cast<uint64_t>(input_.decimal(input_.line()))), true;
      case 0x94:
        return stack_.remember_next(), true;
      case 'h':
        return stack_.recall(input_.u8()), true;
      case 'j':
        return stack_.recall(input_.u32()), true;
      case 'g':
        return stack_.recall(static_cast<uint64_t>(input_.decimal(input_.line()))), true;
      default:
        return false;
    }
  }

  bool take_call(uint8_t code) {
    switch (code) {
      case 'c': {
        const std::string_view module = input_.line();
        return push_global(module, input_.line()), true;
      }
      case 0x93: {
        const std::vector<PickleId> names = stack_.pop_some(2);
        const PickleValue &module = stack_.value(names[0]), &name = stack_.value(names[1]);
        if (module.kind != Kind::text || name.kind != Kind::text) input_.fail("names a class by what is no text");
        return push_global(module.text, name.text), true;
      }
      case 'Q':
        return push_storage(stack_.value(stack_.pop())), true;
      case 'R':
      case 0x81: {  // cls.__new__(cls, …): for the classes that are known, the same
        const PickleId arguments = stack_.pop();
        return call(stack_.value(stack_.pop()), stack_.value(arguments)), true;
      }
      case 'b':
        return take_state(), true;
      default:
        return false;
    }
  }

  // Instructions that torch.save never gives. Those that name a class are refused for that class first.
  [[noreturn]] void fail_on(uint8_t code) {
    if (code == 'i') {
      const std::string_view module = input_.line();
      find_global(module, input_.line());
    }
    if (code >= 0x82 && code <= 0x84) refuse("an extension that is registered by number");
    if (code == 'P') input_.fail("names data by a line of text");
    if (code == 0x97 || code == 0x98) input_.fail("keeps data outside the file");
    if (code == 'i' || code == 'o' || code == 0x92) input_.fail("makes an object in a way that torch.save does not");
    input_.fail("has an unknown instruction (byte " + std::to_string(code) + ")");
  }

  [[noreturn]] void refuse(const std::string& name) const {
    throw Refused({where_, "is a pickle that asks for " + name + ", which is no part of a tensor and could run code",
                   "where you trust its source, load it with torch.load(FILE, weights_only=False) and save its tensors "
                   "with safetensors.torch.save_file"});
  }
  TorchGlobal find_global(std::string_view module, std::string_view name) const {
    const auto known = find_torch_global(module, name, where_);
    if (!known) refuse(replace_invalid_utf8(module.substr(0, 80)) + "." + replace_invalid_utf8(name.substr(0, 80)));
    return *known;
  }
  void push_global(std::string_view module, std::string_view name) {
    stack_.push(PickleValue{.kind = Kind::global, .global = find_global(module, name)});
  }

  void push_storage(const PickleValue& name) {
    if (name.kind != Kind::tuple || name.items.empty() || stack_.value(name.items[0]).text != "storage")
      input_.fail("names data that is no storage of torch");
    stack_.push(PickleValue{.kind = Kind::storage, .items = name.items});
  }

  // The few calls that are known: nothing is called, their arguments are kept.
  void call(const PickleValue& callee, const PickleValue& given) {
    if (callee.kind != Kind::global || given.kind != Kind::tuple) input_.fail("calls what is no function");
    switch (callee.global.role) {
      case GlobalRole::tensor:
      case GlobalRole::tensor_v2:
      case GlobalRole::tensor_v3:
        return stack_.push(PickleValue{.kind = Kind::tensor, .global = callee.global, .items = given.items});
      case GlobalRole::parameter:
        return push_first(given, Kind::tensor, "has a parameter that is no tensor");
      case GlobalRole::size:
        return push_first(given, Kind::tuple, "has a size that is no tuple");
      case GlobalRole::ordered_dict:
        return push_ordered_dict(given);
      default:
        input_.fail("calls what is no function");
    }
  }
  void push_first(const PickleValue& given, Kind kind, const char* fault) {
    if (given.items.empty() || stack_.value(given.items[0]).kind != kind) input_.fail(fault);
    stack_.push(given.items[0]);
  }
  // OrderedDict(), or as Python 2 wrote it: OrderedDict([[key, value], …]).
  void push_ordered_dict(const PickleValue& given) {
    if (given.items.size() > 1) input_.fail("has an OrderedDict of more than one list");
    std::vector<PickleId> items;
    if (given.items.size() == 1) {
      const PickleValue& pairs = stack_.value(given.items[0]);
      if (pairs.kind != Kind::list) input_.fail("has an OrderedDict of no list");
      stack_.charge(2 * pairs.items.size());
      for (const PickleId id : pairs.items) {
        const PickleValue& pair = stack_.value(id);
        if ((pair.kind != Kind::list && pair.kind != Kind::tuple) || pair.items.size() != 2)
          input_.fail("has an OrderedDict of no pairs");
        items.insert(items.end(), pair.items.begin(), pair.items.end());
      }
    }
    push_items(Kind::dict, std::move(items));
  }
  // A state dict carries its versions as attributes (_metadata), which say nothing about the tensors.
  void take_state() {
    const Kind state = stack_.value(stack_.pop()).kind, object = stack_.value(stack_.top()).kind;
    if (object != Kind::dict || state != Kind::dict) input_.fail("gives attributes to what is no OrderedDict");
  }

  PickleBytes input_;
  PickleStack stack_;
  const std::string& where_;
};

}  // namespace

Pickle read_pickle(std::string_view bytes, const std::string& where) {
  return PickleMachine(bytes, where).run();
}

}  // namespace cmc::checkpoint
