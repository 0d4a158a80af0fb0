namespace VhdService.Guest.Nested;

/// <summary>Which ends of the outer machine are worth another start, and which are findings.</summary>
public sealed class OuterRunTests
{
    private const string Begun = "LIFE one BEGIN 2.67\nOK modules\nOK disks\n";
    private const string OneEnded = Begun + "OK end\nLIFE one END 19.73 exit=0\nLIFE two BEGIN 19.74\nOK modules\n";

    [Theory]
    [InlineData(139, "", "", "signal 11")]
    [InlineData(137, "", "", "signal 9")]
    [InlineData(1, "", "cannot set up guest memory", "exit code 1")]
    [InlineData(0, "[   40.1] Kernel panic - not syncing: Fatal exception in interrupt\n", "", "Fatal exception in interrupt")]
    [InlineData(0, "", "Triple fault\n", "triple fault")]
    [InlineData(0, "", "", "reset itself")]
    public void An_outer_machine_that_ends_by_itself_is_worth_another_start(int exitCode, string console, string errors, string reason)
    {
        var run = new OuterRun(OneEnded, console, errors, exitCode, OuterEnd.Itself);
        Assert.Null(run.Finding);
        Assert.Contains(reason, run.LostBecause, StringComparison.Ordinal);
    }

    [Fact]
    public void An_outer_machine_that_stands_still_is_worth_another_start()
    {
        var run = new OuterRun(OneEnded, "", "", 137, OuterEnd.Silent);
        Assert.Null(run.Finding);
        Assert.NotNull(run.LostBecause);
    }

    [Theory]
    [InlineData("BAD read 0\n")]
    [InlineData("BAD kernel: sd 0:0:0:0: I/O error\n")]
    [InlineData("LIFE two END 60.1 exit=137\n")] // it hung, and the outer machine ended it
    [InlineData("LIFE two END 60.1 exit=134\n")]
    [InlineData("Unhandled exception. System.NullReferenceException: ...\n")]
    [InlineData("guest: The bus failed on a message: IndexOutOfRangeException: ...\n")]
    [InlineData("guest: The guest has lost channel 1, because its ring's indices or a packet's length cannot be.\n")]
    [InlineData("[    4.1] Kernel panic - not syncing: VFS: Unable to mount root fs\n")]
    public void What_speaks_against_the_devices_is_a_finding_however_the_outer_machine_ends(string line)
    {
        foreach (var exitCode in new[] { 0, 139 })
        {
            var run = new OuterRun(OneEnded + line, "", "", exitCode, OuterEnd.Itself);
            Assert.Equal(line.TrimEnd('\n'), run.Finding);
            Assert.Null(run.LostBecause);
        }

        Assert.Null(new OuterRun(OneEnded + line, "", "", 137, OuterEnd.Silent).LostBecause);
    }

    [Fact]
    public void A_monitor_that_eats_the_outer_machines_memory_is_a_finding()
    {
        var run = new OuterRun(OneEnded, "[   41.0] Out of memory: Killed process 166 (MiniHypervisor)\n[   41.1] Kernel panic - not syncing\n", "", 0, OuterEnd.Itself);
        Assert.NotNull(run.Finding);
        Assert.Null(run.LostBecause);
    }

    [Fact]
    public void An_outer_machine_that_lives_and_does_not_end_is_a_finding()
    {
        var run = new OuterRun(OneEnded, "", "", 137, OuterEnd.Late);
        Assert.NotNull(run.Finding);
        Assert.Null(run.LostBecause);
    }

    [Fact]
    public void A_run_that_came_to_its_end_is_never_repeated()
    {
        var run = new OuterRun(OneEnded + "BAD read 0\nLIFE two END 50.1 exit=0\nHOST done\n", "", "", 0, OuterEnd.Itself);
        Assert.True(run.IsDone);
        Assert.Null(run.LostBecause);
    }

    [Fact]
    public void A_guest_that_the_emulated_processor_failed_lives_again()
    {
        var run = new OuterRun(OneEnded + Failed("") + "LIFE two END 60.1 exit=0\nHOST done\n", "", "", 0, OuterEnd.Itself);
        Assert.Equal(["two"], run.LostLives);
        Assert.Null(run.Finding);
        Assert.Contains("two", run.LostBecause, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BAD write 0\n", "LIFE two END 60.1 exit=0\n")]
    [InlineData("", "LIFE two END 60.1 exit=134\n")]
    [InlineData("", "LIFE two END 60.1 exit=0\nLIFE tlfs BEGIN 60.2\nBAD read 0\nLIFE tlfs END 70.0 exit=0\n")]
    [InlineData("", "")] // it has not ended, and nobody knows what it would have said
    public void A_guest_that_was_failed_does_not_hide_a_finding(string before, string after)
    {
        var run = new OuterRun(OneEnded + Failed(before) + after + "HOST done\n", "", "", 0, OuterEnd.Itself);
        Assert.NotNull(run.Finding);
        Assert.Null(run.LostBecause);
    }

    [Fact]
    public void Only_lives_that_ended_are_kept()
    {
        var run = new OuterRun(OneEnded, "", "", 139, OuterEnd.Itself);
        Assert.True(run.HasEnded("one"));
        Assert.False(run.HasEnded("two"));
        Assert.Equal(["LIFE one BEGIN 2.67", "OK modules", "OK disks", "OK end", "LIFE one END 19.73 exit=0"], run.LinesOf("one"));
    }

    private static string Failed(string before) => before
        + "[  174.638899] BUG: ENTRY_TRAMPOLINE stack guard page was hit at 00000000320d560d (stack is 000000005bc88ccf..00000000c1855fee)\n"
        + "[  188.364727] Kernel panic - not syncing: Fatal exception in interrupt\n";
}
