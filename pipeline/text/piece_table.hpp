#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::text {

// Piece -> id over a vector of pieces that the owner keeps (and passes again): open addressing with the hash beside the
// id, so that a look-up touches one slot and one piece.
class PieceTable {
 public:
  explicit PieceTable(size_t pieces = 0) {
    size_t slots = 16;
    while (slots < 2 * pieces) slots *= 2;
    slots_.resize(slots);
  }

  // False when another id already has that piece. At most as many as announced.
  bool insert(int32_t id, const std::vector<std::string>& pieces) {
    const auto& piece = pieces[static_cast<size_t>(id)];
    const uint32_t hash = hash_of(piece);
    Slot& slot = slots_[find_slot(piece, hash, pieces)];
    if (slot.id >= 0) return false;
    slot = {hash, id};
    return true;
  }

  int32_t find(std::string_view piece, const std::vector<std::string>& pieces) const {
    return slots_[find_slot(piece, hash_of(piece), pieces)].id;  // -1: none
  }

 private:
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };

  static uint32_t hash_of(std::string_view piece) {
    return static_cast<uint32_t>(std::hash<std::string_view>{}(piece));
  }

  size_t find_slot(std::string_view piece, uint32_t hash, const std::vector<std::string>& pieces) const {
    size_t at = hash & (slots_.size() - 1);
    while (slots_[at].id >= 0 && (slots_[at].hash != hash || pieces[static_cast<size_t>(slots_[at].id)] != piece))
      at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace cmc::text
