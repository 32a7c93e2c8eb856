# One folder = one layer = one static library `cmc_<layer>`, sources found by glob so that no list drifts.
#   cmc_layer(token_map [LIBS Foo::foo] [PRIVATE_LIBS Foo::foo])
# A layer sees only the layers that CONTRIBUTING.md's table lets it use; tests/architecture holds the includes against the
# same table.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

include(pipeline/cuda.cmake)
cmc_prepare_cuda()
if(CMC_WITH_TORCH)
  find_package(Torch REQUIRED)
  # at::parallel_for is a template of LibTorch's headers: compiled without OpenMP it runs on one thread, without a word.
  find_package(OpenMP COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    message(FATAL_ERROR "${CMAKE_CXX_COMPILER} has no OpenMP, which LibTorch's threads are: install libomp-dev (clang; g++ brings its own)")
  endif()
  # LibTorch's headers cost half a minute a file: compiled once, reused by every TORCH layer. GCC takes a precompiled header
  # only under the same options, hence the warnings here too. Not torch/torch.h: every file that sees it instantiates all of
  # torch::nn, 33 processor seconds for an empty file instead of 8.
  # Written where it differs alone: a newer one would compile them again.
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/torch_pch.cpp CONTENT "// Exists to own the precompiled LibTorch headers.\n")
  add_library(cmc_torch STATIC ${PROJECT_BINARY_DIR}/torch_pch.cpp)
  target_link_libraries(cmc_torch PUBLIC ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX Threads::Threads PRIVATE cmc_warnings)
  target_include_directories(cmc_torch SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS} ${CMC_CUDA_HEADERS})
  # Wheels of LibTorch export their own std::filesystem; that of 2.11's libtorch.so crashes in remove_all (PyTorch issue
  # 133437). The first library that a program needs is asked first.
  target_link_options(cmc_torch PUBLIC "LINKER:--push-state,--no-as-needed,-lstdc++,--pop-state")
  separate_arguments(CMC_TORCH_FLAGS UNIX_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(cmc_torch PUBLIC ${CMC_TORCH_FLAGS})
  if(TORCH_CUDA_LIBRARIES)
    target_compile_definitions(cmc_torch PUBLIC CMC_CUDA)  # its CUDA graphs are there
  endif()
  target_precompile_headers(cmc_torch PRIVATE <torch/types.h> <nlohmann/json.hpp> <algorithm> <chrono> <filesystem>
    <functional> <iostream> <map> <memory> <set> <span> <sstream> <string> <unordered_map> <vector>)
endif()

if(CMC_WITH_CUDA)
  enable_language(CUDA)
endif()

# CMC_USES_<layer>: the column "may use" of the table's rows: | `layer` | holds | may use | only home of |
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md)
file(STRINGS ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md rows ENCODING UTF-8 REGEX "^\\| `[a-z_]+` \\|[^|]*\\|[^|]*\\|[^|]*\\|$")
set(above "")
foreach(row IN LISTS rows)
  string(REGEX REPLACE "^\\| `([a-z_]+)` .*$" "\\1" layer "${row}")
  string(REGEX REPLACE "^\\|[^|]*\\|[^|]*\\|([^|]*)\\|[^|]*\\|$" "\\1" words "${row}")
  string(REGEX MATCHALL "[A-Za-z_]+" words "${words}")
  if("all" IN_LIST words)
    list(REMOVE_ITEM words all)
    list(APPEND words ${above})
  endif()
  set(CMC_USES_${layer} "${words}")
  list(APPEND above ${layer})
endforeach()

# What the layer's target links: the layers that it may use, and in `torch` whether it may use LibTorch.
function(cmc_layer_uses layer targets torch)
  if(NOT DEFINED CMC_USES_${layer})
    message(FATAL_ERROR "CONTRIBUTING.md's table of layers has no row for ${layer}")
  endif()
  set(uses ${CMC_USES_${layer}})
  set(${torch} OFF PARENT_SCOPE)
  if("LibTorch" IN_LIST uses)
    list(REMOVE_ITEM uses LibTorch)
    set(${torch} ON PARENT_SCOPE)
  endif()
  list(TRANSFORM uses PREPEND cmc_)
  set(${targets} ${uses} PARENT_SCOPE)
endfunction()

function(cmc_reuse_torch_headers target)
  target_link_libraries(${target} PUBLIC cmc_torch)
  target_precompile_headers(${target} REUSE_FROM cmc_torch)
endfunction()

# Layers whose files use one private name for different things, as every stage has its `plan` and `run`: CMC_UNITY leaves
# them file by file.
set(cmc_file_by_file checkpoint analysis stages verbs)

function(cmc_layer name)
  cmake_parse_arguments(LAYER "" "" "LIBS;PRIVATE_LIBS" ${ARGN})
  if(LAYER_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cmc_layer(${name}): what it uses stands in CONTRIBUTING.md, not here: ${LAYER_UNPARSED_ARGUMENTS}")
  endif()
  cmc_layer_uses(${name} uses torch)
  if(IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/${name})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*/*.cpp)
  else()  # the folder itself: stages, whose rooms are layers of their own
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(sources)
    add_library(cmc_${name} STATIC ${sources})
    set(scope PUBLIC)
    if(CMC_UNITY AND NOT name IN_LIST cmc_file_by_file)
      set_target_properties(cmc_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    endif()
    target_link_libraries(cmc_${name} PRIVATE cmc_warnings ${LAYER_PRIVATE_LIBS})
  else()
    add_library(cmc_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(cmc_${name} ${scope} ${PROJECT_SOURCE_DIR})
  target_link_libraries(cmc_${name} ${scope} ${uses} ${LAYER_LIBS})
  if(torch AND sources)
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
