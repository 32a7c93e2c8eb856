#include "pipeline/checkpoint/zip_directory.hpp"

#include <algorithm>
#include <cstring>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

namespace {

constexpr uint32_t local_header = 0x04034b50, central_header = 0x02014b50, end_record = 0x06054b50,
                   end_record_64 = 0x06064b50, end_locator_64 = 0x07064b50;
constexpr uint64_t end_record_bytes = 22, end_locator_bytes = 20, end_record_64_bytes = 56, central_bytes = 46,
                   local_bytes = 30, longest_comment = 65535;
constexpr uint32_t in_extra_field = 0xffffffff;  // a size or an offset that needs 64 bits

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw BadData({where, what, "the file is damaged or was not fetched whole: fetch or save it again"});
}

class ZipReader {
 public:
  ZipReader(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  ZipDirectory read() {
    find_directory();
    ZipDirectory entries;
    uint64_t at = directory_;
    for (uint64_t i = 0; i < count_; ++i) at = read_entry(at, entries);
    return entries;
  }

 private:
  template <class Number>
  Number number(uint64_t at) const {
    if (at > bytes_.size() || bytes_.size() - at < sizeof(Number))
      refuse(where_, "has a zip directory that is cut off");
    Number value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);  // little-endian, as every machine we run on
    return value;
  }
  uint64_t u16(uint64_t at) const { return number<uint16_t>(at); }
  uint32_t u32(uint64_t at) const { return number<uint32_t>(at); }
  uint64_t u64(uint64_t at) const { return number<uint64_t>(at); }

  uint64_t find_end_record() const {
    if (bytes_.size() >= end_record_bytes) {
      const uint64_t last = bytes_.size() - end_record_bytes;
      for (uint64_t back = 0; back <= std::min(last, longest_comment); ++back) {
        if (u32(last - back) == end_record && u16(last - back + 20) == back) return last - back;
      }
    }
    refuse(where_, "is a zip archive without its directory, which stands at the end (truncated?)");
  }

  void find_directory() {
    const uint64_t end = find_end_record();
    count_ = u16(end + 10);
    uint64_t size = u32(end + 12);
    directory_ = u32(end + 16);
    directory_end_ = end;
    if (end >= end_locator_bytes && u32(end - end_locator_bytes) == end_locator_64) {
      const uint64_t record = u64(end - end_locator_bytes + 8);
      if (record > end || end - record < end_record_64_bytes || u32(record) != end_record_64) {
        refuse(where_, "has a zip64 directory that is cut off");
      }
      count_ = u64(record + 32);
      size = u64(record + 40);
      directory_ = u64(record + 48);
      directory_end_ = record;
    }
    if (directory_ > directory_end_ || size > directory_end_ - directory_ || count_ > size / central_bytes) {
      refuse(where_, "has a zip directory outside the file (truncated?)");
    }
  }

  // Sizes and offset of a central header; those of 64 bits stand in its extra field, in this order.
  struct Place {
    uint64_t size, stored_size, header;
  };
  Place read_place(uint64_t at, uint64_t extra, uint64_t extra_end) const {
    Place place{u32(at + 24), u32(at + 20), u32(at + 42)};
    if (place.size != in_extra_field && place.stored_size != in_extra_field && place.header != in_extra_field)
      return place;
    while (extra + 4 <= extra_end && u16(extra) != 1) extra += 4 + u16(extra + 2);
    extra += 4;
    for (uint64_t* value : {&place.size, &place.stored_size, &place.header}) {
      if (*value != in_extra_field) continue;
      if (extra + 8 > extra_end) refuse(where_, "has a zip entry without its 64-bit size");
      *value = u64(extra);
      extra += 8;
    }
    return place;
  }

  uint64_t read_entry(uint64_t at, ZipDirectory& entries) const {
    if (at > directory_end_ || directory_end_ - at < central_bytes || u32(at) != central_header) {
      refuse(where_, "has a zip directory that is damaged");
    }
    const uint64_t name_end = at + central_bytes + u16(at + 28), extra_end = name_end + u16(at + 30),
                   next = extra_end + u16(at + 32);
    if (next > directory_end_) refuse(where_, "has a zip directory that is cut off");
    const std::string name(bytes_.substr(at + central_bytes, name_end - at - central_bytes));
    const std::string entry = where_ + ": " + replace_invalid_utf8(name);
    if ((u16(at + 8) & 1) != 0) throw BadData({entry, "is encrypted", "save the model without a password"});
    const Place place = read_place(at, name_end, extra_end);
    const bool compressed = u16(at + 10) != 0;
    if (!compressed && place.size != place.stored_size) refuse(entry, "has two sizes");
    if (place.header > directory_ || directory_ - place.header < local_bytes || u32(place.header) != local_header) {
      refuse(entry, "lies outside the file (truncated?)");
    }
    const uint64_t begin = place.header + local_bytes + u16(place.header + 26) + u16(place.header + 28);
    if (begin > directory_ || place.stored_size > directory_ - begin)
      refuse(entry, "lies outside the file (truncated?)");
    if (!entries.emplace(name, ZipEntry{begin, begin + place.stored_size, compressed}).second)
      refuse(entry, "is there twice");
    return next;
  }

  std::string_view bytes_;
  const std::string& where_;
  uint64_t count_ = 0, directory_ = 0, directory_end_ = 0;
};

}  // namespace

ZipDirectory read_zip_directory(std::string_view bytes, const std::string& where) {
  return ZipReader(bytes, where).read();
}

}  // namespace cmc::checkpoint
