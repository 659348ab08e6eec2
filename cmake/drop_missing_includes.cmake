# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
# The ROS 2 wheels of PyPI were built on another machine, and sixteen of their exported targets still name include
# folders of that machine. CMake stops at an imported target whose include folder is absent, so absent ones are taken
# out here. In a ROS distribution every folder exists and nothing changes.
function(drop_missing_includes)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(includes)
      set(present ${includes})
      foreach(folder IN LISTS includes)
        # Generator expressions are not absolute paths and stay.
        if(IS_ABSOLUTE "${folder}" AND NOT IS_DIRECTORY "${folder}")
          list(REMOVE_ITEM present "${folder}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
    endif()
  endforeach()
endfunction()

# rosidl puts NumPy's include folder into the interface of the generated Python library. With a venv in the source tree
# that folder lies below the source tree, which CMake refuses to export; nothing outside this build needs it.
function(keep_local_includes_in_build target)
  get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set(exported "")
  foreach(folder IN LISTS includes)
    string(FIND "${folder}" "${CMAKE_SOURCE_DIR}/" position)
    if(position EQUAL 0)
      list(APPEND exported "$<BUILD_INTERFACE:${folder}>")
    elseif(folder)
      list(APPEND exported "${folder}")
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${exported}")
endfunction()
