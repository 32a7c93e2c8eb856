# One folder = one layer = one static library `cmc_<layer>`, sources found by glob so that no list drifts.
#   cmc_layer(token_map USES core text [LIBS Foo::foo] [TORCH])
# A layer sees only the layers it names in USES; tests/architecture holds the includes against the same table.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

if(CMC_WITH_TORCH)
  find_package(Torch REQUIRED)
  # LibTorch's headers cost half a minute a file: compiled once, reused by every TORCH layer. GCC takes a precompiled header
  # only under the same options, hence the warnings here too. Not torch/torch.h: every file that sees it instantiates all of
  # torch::nn, 33 processor seconds for an empty file instead of 8.
  file(WRITE ${PROJECT_BINARY_DIR}/torch_pch.cpp "// Exists to own the precompiled LibTorch headers.\n")
  add_library(cmc_torch STATIC ${PROJECT_BINARY_DIR}/torch_pch.cpp)
  target_link_libraries(cmc_torch PUBLIC ${TORCH_LIBRARIES} Threads::Threads PRIVATE cmc_warnings)
  target_include_directories(cmc_torch SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
  separate_arguments(CMC_TORCH_FLAGS UNIX_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(cmc_torch PUBLIC ${CMC_TORCH_FLAGS})
  target_precompile_headers(cmc_torch PRIVATE <torch/types.h> <nlohmann/json.hpp> <algorithm> <chrono> <filesystem>
    <functional> <iostream> <map> <memory> <set> <span> <sstream> <string> <unordered_map> <vector>)
endif()

function(cmc_reuse_torch_headers target)
  target_link_libraries(${target} PUBLIC cmc_torch)
  target_precompile_headers(${target} REUSE_FROM cmc_torch)
endfunction()

function(cmc_layer name)
  cmake_parse_arguments(LAYER "TORCH" "" "USES;LIBS;PRIVATE_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  if(sources)
    add_library(cmc_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(cmc_${name} PRIVATE cmc_warnings ${LAYER_PRIVATE_LIBS})
  else()
    add_library(cmc_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(cmc_${name} ${scope} ${PROJECT_SOURCE_DIR})
  list(TRANSFORM LAYER_USES PREPEND cmc_)
  target_link_libraries(cmc_${name} ${scope} ${LAYER_USES} ${LAYER_LIBS})
  if(LAYER_TORCH AND sources)
    cmc_reuse_torch_headers(cmc_${name})
  endif()
endfunction()

# A program of one main file: cmc_program(cmc SOURCES … USES … [TORCH])
function(cmc_program name)
  cmake_parse_arguments(PROGRAM "TORCH" "" "SOURCES;USES;LIBS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  list(TRANSFORM PROGRAM_USES PREPEND cmc_)
  target_link_libraries(${name} PRIVATE ${PROGRAM_USES} ${PROGRAM_LIBS} cmc_warnings)
  if(PROGRAM_TORCH)
    cmc_reuse_torch_headers(${name})
  endif()
endfunction()
