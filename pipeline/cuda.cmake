# CUDA where it is: what a LibTorch built with CUDA asks for while it is found, and the project's own kernels.
#   cmc_prepare_cuda()  before find_package(Torch): says what LibTorch's configuration guesses badly
#   cmc_cuda_kernels()  after cmc_layer(kernels): compiles its .cu files

find_program(CMC_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(CMC_NVCC)
  set(CMC_NVCC_FOUND ON)
else()
  set(CMC_NVCC_FOUND OFF)
endif()
option(CMC_WITH_CUDA "Compile the CUDA kernels (part of the programs where LibTorch has CUDA)" ${CMC_NVCC_FOUND})

# The toolkit is what nvcc itself calls TOP: the nvcc on PATH may be a wrapper elsewhere. Some architecture is named, since
# LibTorch otherwise compiles and runs a program, which fails without a GPU. libnvrtc, and headers that ATen/cuda includes
# (cusparse.h and its like), are those of the wheels beside torch where the toolkit has none: CMC_CUDA_HEADERS.
macro(cmc_prepare_cuda)
  if(NOT DEFINED TORCH_CUDA_ARCH_LIST)
    set(TORCH_CUDA_ARCH_LIST "8.0;9.0+PTX")  # A100, H100 and H200; compiled at the first run for later ones
    if(DEFINED ENV{TORCH_CUDA_ARCH_LIST})
      string(REPLACE " " ";" TORCH_CUDA_ARCH_LIST "$ENV{TORCH_CUDA_ARCH_LIST}")
    endif()
  endif()
  if(CMC_NVCC AND NOT CUDA_TOOLKIT_ROOT_DIR)
    execute_process(COMMAND ${CMC_NVCC} --dryrun -x cu /dev/null ERROR_VARIABLE said OUTPUT_QUIET)
    if(said MATCHES "TOP=([^\n]+)")
      get_filename_component(top "${CMAKE_MATCH_1}" REALPATH)
      set(CUDA_TOOLKIT_ROOT_DIR "${top}" CACHE PATH "CUDA toolkit")
    endif()
  endif()
  if(CUDA_TOOLKIT_ROOT_DIR AND NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER "${CUDA_TOOLKIT_ROOT_DIR}/bin/nvcc" CACHE FILEPATH "nvcc itself, not a wrapper")
  endif()
  foreach(prefix ${Torch_DIR} $ENV{Torch_DIR} ${CMAKE_PREFIX_PATH} $ENV{CMAKE_PREFIX_PATH})
    foreach(up .. ../.. ../../.. ../../../..)  # site-packages, from torch/share/cmake/Torch and above
      file(GLOB found "${prefix}/${up}/nvidia/*/lib/libnvrtc.so.*")
      list(APPEND wheel_nvrtc ${found})
      file(GLOB found "${prefix}/${up}/nvidia/*/include/cusparse.h")
      list(APPEND wheel_headers ${found})
    endforeach()
  endforeach()
  set(targets "${CUDA_TOOLKIT_ROOT_DIR}/targets/x86_64-linux")
  find_library(CUDA_nvrtc_LIBRARY nvrtc HINTS "${CUDA_TOOLKIT_ROOT_DIR}/lib64" "${targets}/lib")
  if(NOT CUDA_nvrtc_LIBRARY AND wheel_nvrtc)
    list(GET wheel_nvrtc 0 found)
    set(CUDA_nvrtc_LIBRARY "${found}" CACHE FILEPATH "libnvrtc" FORCE)
  endif()
  if(wheel_headers AND NOT EXISTS "${CUDA_TOOLKIT_ROOT_DIR}/include/cusparse.h" AND
     NOT EXISTS "${targets}/include/cusparse.h")
    list(GET wheel_headers 0 found)
    get_filename_component(CMC_CUDA_HEADERS "${found}" DIRECTORY)
  endif()
endmacro()

# "8.0;9.0+PTX" → "80-real;90"
function(cmc_cuda_architectures result)
  set(architectures)
  foreach(architecture ${TORCH_CUDA_ARCH_LIST})
    if(NOT architecture MATCHES "^([0-9]+)[.]([0-9]+a?)([+]PTX)?$")
      message(FATAL_ERROR "TORCH_CUDA_ARCH_LIST: \"${architecture}\" is no number: give capabilities such as \"8.0;9.0+PTX\"")
    endif()
    set(name ${CMAKE_MATCH_1}${CMAKE_MATCH_2})
    if(NOT CMAKE_MATCH_3)
      string(APPEND name "-real")
    endif()
    list(APPEND architectures ${name})
  endforeach()
  set(${result} ${architectures} PARENT_SCOPE)
endfunction()

# Compiled wherever nvcc is, so that they never rot; linked where LibTorch brings the device they run on.
function(cmc_cuda_kernels)
  set(linked 0)
  if(CMC_WITH_CUDA)
    cmc_cuda_architectures(architectures)
    set(CMAKE_CUDA_STANDARD 17)  # CMake 3.22 does not know that nvcc takes 20
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/*.cu)
    add_library(cmc_cuda_kernels OBJECT ${sources})
    target_include_directories(cmc_cuda_kernels PRIVATE ${PROJECT_SOURCE_DIR})
    # Products and sums are rounded apart, as on the CPU, so that both decide alike between nearly equal scores.
    target_compile_options(cmc_cuda_kernels PRIVATE --fmad=false -Xcompiler=-Wall,-Wextra
                           "$<$<BOOL:${CMC_WERROR}>:-Werror=all-warnings>")
    set_target_properties(cmc_cuda_kernels PROPERTIES CUDA_ARCHITECTURES "${architectures}"
                          POSITION_INDEPENDENT_CODE ON)
    if(TORCH_CUDA_LIBRARIES)
      set(linked 1)
      target_sources(cmc_kernels PRIVATE $<TARGET_OBJECTS:cmc_cuda_kernels>)
      target_link_libraries(cmc_kernels PUBLIC CUDA::cudart)
    endif()
  endif()
  target_compile_definitions(cmc_kernels PRIVATE CMC_CUDA_KERNELS=${linked})
endfunction()
