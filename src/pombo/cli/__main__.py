from pombo.cli import main

main()
