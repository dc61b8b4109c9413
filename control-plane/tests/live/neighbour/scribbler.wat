;; A plugin that writes what it should not: on each request, over every value that the filter keeps in shared data. The
;; second byte of the path says what: 0 nothing, 1 a byte too few, 2 a byte too many, 3 any bytes after a first one
;; that is wrong, 4 any bytes after one that is right, 5 only ones after it.
(module
  (import "env" "proxy_set_shared_data" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  ;; Where the host writes an address and a length.
  (global $returned i32 (i32.const 16))
  ;; Where the host writes the path.
  (global $path i32 (i32.const 1024))
  (global $value i32 (i32.const 2048))
  (global $entries i32 (i32.const 4096))
  (global $chance (mut i64) (i64.const 88172645463325252))
  (data (i32.const 0) ":path")
  ;; For each value the length of its key, its own length (two bytes) and first byte, and the key; then a zero.
  (data (i32.const 4096) "ENTRIES")

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (global.get $path))

  ;; Fills 1024 bytes of the value, with ones or anything (xorshift).
  (func $fill (param $ones i32)
    (local $at i32)
    (loop $more
      (global.set $chance (i64.xor (global.get $chance) (i64.shl (global.get $chance) (i64.const 13))))
      (global.set $chance (i64.xor (global.get $chance) (i64.shr_u (global.get $chance) (i64.const 7))))
      (global.set $chance (i64.xor (global.get $chance) (i64.shl (global.get $chance) (i64.const 17))))
      (i64.store
        (i32.add (global.get $value) (local.get $at))
        (select (i64.const -1) (global.get $chance) (local.get $ones)))
      (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 1024)))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $kind i32) (local $entry i32) (local $key i32) (local $key_length i32) (local $length i32)
    (if (call $header (i32.const 0) (i32.const 0) (i32.const 5) (global.get $returned) (i32.const 20))
      (then unreachable))
    (local.set $kind (i32.sub (i32.load8_u offset=1 (global.get $path)) (i32.const 48)))
    (local.set $entry (global.get $entries))
    (loop $next
      (if (local.tee $key_length (i32.load8_u (local.get $entry)))
        (then
          (local.set $length (i32.load16_u offset=1 (local.get $entry)))
          (local.set $length (i32.sub (local.get $length) (i32.eq (local.get $kind) (i32.const 1))))
          (local.set $length (i32.add (local.get $length) (i32.eq (local.get $kind) (i32.const 2))))
          (local.set $length (select (local.get $length) (i32.const 0) (local.get $kind)))
          (call $fill (i32.eq (local.get $kind) (i32.const 5)))
          (i32.store8
            (global.get $value)
            (i32.xor (i32.load8_u offset=3 (local.get $entry)) (i32.eq (local.get $kind) (i32.const 3))))
          (local.set $key (i32.add (local.get $entry) (i32.const 4)))
          ;; Without a number to compare it always writes.
          (if (call $set
                (local.get $key) (local.get $key_length) (global.get $value) (local.get $length) (i32.const 0))
            (then unreachable))
          (local.set $entry (i32.add (local.get $key) (local.get $key_length)))
          (br $next))))
    (i32.const 0)))
