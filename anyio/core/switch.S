/*
 * anyio_switch(void **save, void *load): leaves the callee-saved registers on the stack, stores
 * the stack pointer in *save and goes on with the stack at load.
 *
 * It ends in a return. The processor predicts returns by the calls it saw, on whatever stack, and
 * is right here: tasks are switched out at few places, so that who was called there last and who
 * returns there now came the same way, and the returns behind it are in step too. Into a new stack,
 * where nobody returns to a call, goes anyio_jump: the same with an indirect jump at its end.
 *
 * anyio_trampoline: where a new stack starts. Calls entry(arg), which returns the stack to go on
 * with and whether that is a new one (struct context_next): so the returns stay in step with the
 * calls here too. The call-frame information says that nothing lies above,
 * and whom to tell when an exception comes this far (exception.c).
 */
#if defined(__x86_64__)
	.text
	.macro save_registers
	push %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	push %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	push %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	push %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	push %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	.endm

	.macro restore_registers
	pop %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	pop %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	pop %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	pop %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	pop %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	.endm

	.macro jump_back
	pop %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	jmp *%rcx
	.endm

	.globl anyio_switch
	.hidden anyio_switch
	.type anyio_switch, @function
	.p2align 4
anyio_switch:
	.cfi_startproc
	save_registers
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	restore_registers
	ret
	.cfi_endproc
	.size anyio_switch, .-anyio_switch

	.globl anyio_jump
	.hidden anyio_jump
	.type anyio_jump, @function
	.p2align 4
anyio_jump:
	.cfi_startproc
	save_registers
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	restore_registers
	jump_back
	.cfi_endproc
	.size anyio_jump, .-anyio_jump

	.hidden anyio_unwound
	.globl anyio_trampoline
	.hidden anyio_trampoline
	.type anyio_trampoline, @function
	.p2align 4
anyio_trampoline:
	.cfi_startproc
	.cfi_personality 0x1b, anyio_unwound
	.cfi_undefined rip
	mov %rbx, %rdi
	call *%r12
	mov %rax, %rsp
	.cfi_def_cfa_offset 56
	.cfi_offset rip, -8
	test %edx, %edx
	jne 1f
	.cfi_remember_state
	restore_registers
	ret
1:	.cfi_restore_state
	restore_registers
	jump_back
	.cfi_endproc
	.size anyio_trampoline, .-anyio_trampoline

#elif defined(__aarch64__)
	.text
	.macro save_registers
	sub sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	.endm

	.macro restore_registers
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x9, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	.cfi_def_cfa_offset 0
	.cfi_register x30, x9
	mov x30, x9
	.endm

	.globl anyio_switch
	.hidden anyio_switch
	.type anyio_switch, %function
	.p2align 4
anyio_switch:
	.cfi_startproc
	save_registers
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	restore_registers
	ret x9
	.cfi_endproc
	.size anyio_switch, .-anyio_switch

	.globl anyio_jump
	.hidden anyio_jump
	.type anyio_jump, %function
	.p2align 4
anyio_jump:
	.cfi_startproc
	save_registers
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	restore_registers
	br x9
	.cfi_endproc
	.size anyio_jump, .-anyio_jump

	.hidden anyio_unwound
	.globl anyio_trampoline
	.hidden anyio_trampoline
	.type anyio_trampoline, %function
	.p2align 4
anyio_trampoline:
	.cfi_startproc
	.cfi_personality 0x1b, anyio_unwound
	.cfi_undefined x30
	mov x0, x19
	blr x20
	mov sp, x0
	mov w10, w1
	restore_registers
	cbnz w10, 1f
	ret x9
1:	br x9
	.cfi_endproc
	.size anyio_trampoline, .-anyio_trampoline
#else
#error "anyio: no stack switch for this processor"
#endif
	.section .note.GNU-stack, "", %progbits
