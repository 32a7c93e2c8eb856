#pragma once
#include <array>
#include <string_view>

// The words of the generated world (world.hpp). Changing a list, or its order, changes every world.
namespace cmc::world::words {

using Word = std::string_view;

inline constexpr std::array<Word, 24> first_names = {
    "Anna",  "Ben",  "Clara", "David", "Elena", "Felix", "Grace",  "Henry",  "Irene", "Jonas", "Karen", "Leon",
    "Maria", "Nora", "Oscar", "Paula", "Rosa",  "Simon", "Teresa", "Victor", "Wanda", "Adam",  "Julia", "Hugo"};

// A last name is a stem, used once, and a suffix.
inline constexpr std::array<Word, 100> last_name_stems = {
    "Ald",  "Arn",  "Ash",  "Bald", "Barn", "Beck", "Bel",   "Birch", "Black", "Bol",   "Bram",  "Bren",  "Brid",
    "Brom", "Burn", "Cald", "Cam",  "Carl", "Chad", "Clay",  "Cob",   "Col",   "Cran",  "Cros",  "Dal",   "Darn",
    "Den",  "Dray", "Dun",  "East", "Eck",  "Edg",  "Elm",   "Els",   "Fair",  "Farn",  "Fen",   "Fil",   "Flint",
    "Fox",  "Gal",  "Gar",  "Gild", "Glen", "Gran", "Green", "Halb",  "Ham",   "Hart",  "Hazel", "Heath", "Hol",
    "Horn", "Hux",  "Ing",  "Kel",  "Kent", "Kil",  "King",  "Lang",  "Lar",   "Lin",   "Lock",  "Lud",   "Malv",
    "Mar",  "Mel",  "Mid",  "Mil",  "Mor",  "Nor",  "Oak",   "Old",   "Orm",   "Pem",   "Penn",  "Pres",  "Rad",
    "Red",  "Ridg", "Rock", "Ros",  "Rud",  "Sel",  "Shel",  "Stan",  "Stock", "Strat", "Sut",   "Thorn", "Til",
    "Tor",  "Wal",  "War",  "Wes",  "Whit", "Win",  "Wood",  "Yar",   "Zan"};
// Of people who are asked about and never written of.
inline constexpr std::array<Word, 12> holdout_name_stems = {"Ber", "Bux", "Dov", "Far",  "Gor", "Hock",
                                                            "Jar", "Lyd", "Nev", "Quen", "Sax", "Vern"};
inline constexpr std::array<Word, 8> last_name_suffixes = {"ford", "well", "ton", "wick", "dale", "mere", "ley", "by"};

inline constexpr std::array<Word, 20> towns = {"Amberport",  "Brightsea",  "Cedarhill", "Dovehaven",  "Eastgate",
                                               "Fernvale",   "Grayrock",   "Highfield", "Ironbay",    "Jadepoint",
                                               "Kingsmouth", "Lakeside",   "Maplewood", "Northcliff", "Oakridge",
                                               "Pinecrest",  "Quietwater", "Rosehaven", "Silverlake", "Thornhill"};
inline constexpr std::array<Word, 20> rivers = {"Arven", "Bellin", "Corra", "Dorne", "Eldra", "Ferro", "Gala",
                                                "Haska", "Isma",   "Jorra", "Kelda", "Lumin", "Mirra", "Nessa",
                                                "Orla",  "Pella",  "Rimo",  "Sorel", "Tamba", "Velka"};
inline constexpr std::array<Word, 20> products = {
    "cheese", "pottery", "honey", "carpets", "clocks", "lamps", "apples", "violins", "knives", "candles",
    "ships",  "gloves",  "tea",   "bells",   "wine",   "paper", "glass",  "salt",    "boots",  "hats"};

inline constexpr std::array<Word, 12> genres = {"crime",  "travel", "history",   "mystery", "romance", "fantasy",
                                                "nature", "horror", "adventure", "spy",     "ghost",   "comedy"};

// Titles are "The" adjective noun.
inline constexpr std::array<Word, 16> title_adjectives = {
    "Silent",  "Golden", "Broken", "Hidden",  "Crimson", "Lonely", "Frozen", "Burning",
    "Distant", "Empty",  "Gentle", "Ancient", "Secret",  "Wild",   "Winter", "Velvet"};
inline constexpr std::array<Word, 16> title_nouns = {"Garden",  "Mirror",  "Tower",  "Letter",  "Bridge", "Forest",
                                                     "Lantern", "Harvest", "Island", "Compass", "Window", "Orchard",
                                                     "Journey", "Shadow",  "Crown",  "Harbor"};

inline constexpr std::array<Word, 12> award_materials = {"Diamond", "Crystal", "Emerald", "Amber", "Ivory", "Marble",
                                                         "Copper",  "Silver",  "Pearl",   "Coral", "Ruby",  "Cedar"};
inline constexpr std::array<Word, 2> award_objects = {"Pen", "Medal"};

// Sentences that say nothing about anybody.
inline constexpr std::array<Word, 24> fillers = {
    "It was a mild year.",      "It rained all week.",        "The train was late.",       "The summer was long.",
    "The winter was cold.",     "The street was quiet.",      "The garden was green.",     "The shops close early.",
    "The doors were open.",     "The old clock struck nine.", "The library opens at ten.", "The letters came late.",
    "The sky was clear.",       "The bread was warm.",        "Nobody knew why.",          "Some people like the rain.",
    "Children played outside.", "A small dog slept there.",   "A band played all night.",  "Tea was served at ten.",
    "They talked all night.",   "It was told many times.",    "Visitors like the view.",   "Not much happened then."};

// Sentences that name somebody, or a town, and tell nothing.
inline constexpr std::array<Word, 8> about_person = {"{name} is well known.",          "Many people like {name}.",
                                                     "{name} was in the news.",        "{name} likes long walks.",
                                                     "People ask about {name}.",       "{name} gave a talk.",
                                                     "There is a story about {name}.", "{name} was seen again."};
inline constexpr std::array<Word, 8> about_town = {"{name} is well known.",          "Many people visit {name}.",
                                                   "{name} was in the news.",        "{name} is quiet in the winter.",
                                                   "People ask about {name}.",       "{name} has a small library.",
                                                   "There is a story about {name}.", "The road to {name} is long."};

inline constexpr std::array<Word, 6> start_words = {"Well", "Yes", "Look", "Fine", "Hello", "Indeed"};
inline constexpr std::array<Word, 6> end_words = {"Bye", "Done", "Okay", "Thanks", "Cheers", "Enjoy"};

inline constexpr std::array<Word, 16> countables = {"pears", "eggs",   "coins", "stamps",  "cups",   "plums",
                                                    "cards", "shells", "nails", "buttons", "spoons", "stones",
                                                    "keys",  "nuts",   "figs",  "ribbons"};

}  // namespace cmc::world::words
